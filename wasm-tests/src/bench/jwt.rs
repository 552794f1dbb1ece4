//! A token for `jwt_authn`, and the key that it is signed with: the public half;
//! the other was thrown away. The token is good until 2100, and for nothing.

/// The key, as a JWK set.
pub(super) fn jwks() -> String {
    format!(
        r#"{{"keys":[{{"kty":"RSA","alg":"RS256","use":"sig","kid":"bench","n":"{N}","e":"AQAB"}}]}}"#
    )
}

const N: &str = "\
    rDub1WxDh0mtvpzty3T5D_G7gVheN6FdrhaVyzm7C8USHAICQWyYi5htCZ5_dJjdbt8H3Key4DV03kuMaj6cgm2q\
    gNf9bQue1ls1TEMwevTwdJXsLs70c5HoqhbygABYmgUtCIypa_ny-jZBYQ1oEM-3lAcOScjrkVbVOvKLARpKWOOj\
    -urWNntY-SuLnsiht-DHM3w7tLqyntfQo8osHgZIlPvr0QYExBqEL8HIqNZlGo0IbHlyDR7odfNtYjkVbt6BvCBL\
    DVNNWSA2QIqz5fOvmh9d8ouevcfMhetFDpNXFqbXSywjsscOXRJwvUkQnQWTvj0I32joGYY3LlOaoQ";

/// The token.
pub(super) const TOKEN: &str = "\
    eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImJlbmNoIn0.eyJpc3MiOiJodHRwOi8vMTI3LjAuMC4x\
    OjE4MDAxIiwiYXVkIjoiaHR0cDovLzEyNy4wLjAuMToxODAwMC9tY3AiLCJzdWIiOiJ1c2VyLTEiLCJzY29wZSI6\
    Im1jcDpjYWxsIiwiaWF0IjoxNzAwMDAwMDAwLCJleHAiOjQxMDI0NDQ4MDB9.Ygmmc6H3XO2JfEEr1tV4BsqxHzC\
    pa-KQ51ndwbsdmq241IOl_QfnIDij-GUu-V1Mmbszo0KOjm0GVw_Ku8iVY67lBXNVUokqBUA46hd39mC_H2YaJaf\
    1Vk6dhgM1DOFiCfdYVB2_EEE-jjQqt5WucwmgfUmjVpCKU_N0uyozKEuQYYcOo00frGdUPpmfX7zrv_3AnxZKrUi\
    nycDhETgWQetY3uVUoBovU5jafq2dytjxrjSA_xf-xSd4-uME9nt9ig9b_Y7_67BwRlqBmaH91hJfLYoj5PVvdjf\
    aLhSLVSriGmOcsebYosrAvS77BZ6wXhyD_c6AZvfS9NQZeVCZzg";
