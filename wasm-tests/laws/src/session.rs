//! A session is good for the caller that it was given to, and for no other.

use mcp_token_guard::{Answer, Field};

use crate::world::{
    Fate, GOOD, RESOURCE, STREAM, TOKEN, bearer, decoded, fields, holds, says, send, send_open,
    trimmed, with_guard,
};

/// The bytes as the id that an upstream gives, and as the id that a client
/// makes up.
pub(crate) fn law(bytes: &[u8]) {
    let other = format!(
        r#"{{"active":true,"aud":"{RESOURCE}","scope":"mcp:read","sub":"user-2","client_id":"client-1"}}"#
    );
    let with = |id: &[u8]| {
        let rest: [(&str, &[u8]); 2] = [("authorization", &bearer()), ("mcp-session-id", id)];
        fields(b"/mcp", &rest)
    };
    with_guard(|guard| {
        if let Fate::Left(left) = send(guard, "files", &with(bytes), &says(GOOD)) {
            panic!("an id that nobody was given leaves: {left:?}");
        }
        let bare = fields(b"/mcp", &[("authorization", &bearer())]);
        let Fate::Left(_) = send_open(guard, "files", &bare, &says(GOOD)) else {
            panic!("a good request is refused");
        };
        let answer: [Field; 2] = [
            (":status".to_owned(), b"200".to_vec()),
            ("mcp-session-id".to_owned(), bytes.to_vec()),
        ];
        let bound = match guard.answer(STREAM, &answer, Some("files")) {
            Answer::Pass(edits) => edits
                .into_iter()
                .rev()
                .find(|(name, _)| name == "mcp-session-id"),
            Answer::Replace(reply, _) => panic!("{reply:?}"),
        };
        guard.gone(STREAM);
        let Some((_, bound)) = bound else {
            panic!("an id of the upstream's gets through as it is");
        };
        // It is left out where it repeats the credential.
        let Some(bound) = bound else { return };
        match send(guard, "files", &with(&bound), &says(GOOD)) {
            Fate::Left(left) => {
                let mut ids = left.iter().filter(|(name, _)| name == "mcp-session-id");
                let (_, id) = ids.next().expect("the id");
                assert_eq!(id, trimmed(bytes), "another id leaves");
                assert!(ids.next().is_none(), "two ids leave");
            }
            Fate::Answered(reply) => {
                let token = TOKEN.as_bytes();
                let has_token = holds(bytes, token) || holds(&decoded(bytes), token);
                assert!(has_token, "the caller's own id is refused: {reply:?}");
            }
        }
        let Fate::Answered(reply) = send(guard, "files", &with(&bound), &says(other.as_bytes()))
        else {
            panic!("the session of one is good for another");
        };
        assert_eq!(reply.status, 404);
    });
}
