//! Traffic that is not an MCP server's, through each guard in real Envoy with the
//! configuration of its manifest and clusters named as Istio names them.

use mcp_token_guard_tests::client::{self, Protocol, Response};
use mcp_token_guard_tests::envoy::{Envoy, Setup, pieces};
use mcp_token_guard_tests::module;
use mcp_token_guard_tests::peers::{Act, Peer};
use mcp_token_guard_tests::scenario::{Request, get, options, post, request, status};
use serde_json::{Value, json};

use crate::read::{Guard, Resource, added_clusters, guards, resources, text};

/// Clusters that a proxy of the mesh has besides those of MCP servers: another
/// service, all that is in no registry, another port of the own workload, and
/// another service of the waypoint.
const OTHERS: &[&str] = &[
    "outbound|8080||orders.shop.svc.cluster.local",
    "PassthroughCluster",
    "inbound|9090||",
    "inbound-vip|9090|http|orders.files.svc.cluster.local",
];

/// The field by which a request of these tests chooses its cluster.
const TO: &str = "x-to";

/// Where the guard shares its proxy with other traffic, that arrives as without
/// a guard, and so do its answers. A listed cluster is guarded all the same.
#[test]
fn other_traffic_is_unchanged() {
    let all = resources();
    let bare = World::start(OTHERS, Setup::new());
    let mut places = Vec::new();
    for guard in all.iter().flat_map(guards).filter(shares_its_proxy) {
        let place = &guard.resource.place;
        let world = World::around(&guard, &all);
        for name in OTHERS {
            for request in requests(&configuration(&guard)) {
                let request = request.header(TO, name);
                let what = String::from_utf8_lossy(&request.path);
                let (now, before) = (world.seen(name, &request), bare.seen(name, &request));
                assert!(before[1].contains("arrived"), "{before:#?}");
                assert_eq!(now, before, "{place}: {what} to {name}");
            }
        }
        world.guards_the_servers(&guard);
        places.push(place.as_str());
    }
    assert_eq!(places.len(), 2, "guards beside other traffic: {places:?}");
}

/// Where it has the proxy to itself, nothing goes past it.
#[test]
fn other_traffic_is_refused_where_there_should_be_none() {
    let all = resources();
    let alone = |guard: &Guard<'_>| !shares_its_proxy(guard);
    let mut count = 0;
    for guard in all.iter().flat_map(guards).filter(alone) {
        let world = World::around(&guard, &all);
        for name in OTHERS {
            // The one port of a workload, and its sidecar's guard.
            let response = world.send(&application("/anything").header(TO, name));
            assert_eq!(response.status, 403, "{}: {name}", guard.resource.place);
            assert_eq!(world.peer(name).record().bytes, b"");
        }
        world.guards_the_servers(&guard);
        count += 1;
    }
    assert_eq!(count, 5, "guards with a proxy to themselves");
}

/// The plugin configuration of a guard.
fn configuration(guard: &Guard<'_>) -> Value {
    serde_json::from_str(&guard.configuration).expect("JSON")
}

fn shares_its_proxy(guard: &Guard<'_>) -> bool {
    configuration(guard)["unlisted_clusters"] == "ignore"
}

/// The clusters that a guard lists, as they could be called.
fn listed(guard: &Guard<'_>) -> Vec<String> {
    let configuration = configuration(guard);
    let servers = configuration["servers"].as_object().expect("servers");
    let names = servers.values().map(|server| text(&server["cluster"]));
    names
        .map(|name| name.expect("one cluster").replace('*', "0"))
        .collect()
}

/// Envoy before servers of clusters with these names.
struct World {
    envoy: Envoy,
    peers: Vec<Peer>,
}

impl World {
    /// A request goes to the cluster that it names in [`TO`].
    fn start(names: &[&str], mut setup: Setup) -> Self {
        let mut peers = Vec::new();
        for name in names {
            let peer = Peer::start(name);
            // From an MCP server this would be a sign of trouble.
            peer.script(|_| {
                let refused = status(401)
                    .header("www-authenticate", "Bearer realm=\"of the application\"")
                    .header("mcp-session-id", "of-the-application")
                    .header("access-control-allow-origin", "*")
                    .bytes("no");
                Act::Answer(refused.into())
            });
            let mut route = pieces::route("/", name);
            route["match"]["headers"] = json!([{"name": TO, "string_match": {"exact": name}}]);
            setup = setup
                .cluster(pieces::cluster(name, peer.address(), Protocol::Http1))
                .route(route);
            peers.push(peer);
        }
        Self {
            envoy: setup.start(),
            peers,
        }
    }

    /// With this guard, and the clusters that the manifests around it add, which
    /// are at least clusters to Envoy.
    fn around(guard: &Guard<'_>, all: &[Resource]) -> Self {
        let mut setup = Setup::new();
        let variables = guard.variables.iter();
        setup.environment = variables
            .map(|name| (name.clone(), "kanarie-of-the-manifest".to_owned()))
            .collect();
        let near = |one: &&Resource| one.folder == guard.resource.folder;
        setup.clusters = all
            .iter()
            .filter(near)
            .flat_map(added_clusters)
            .cloned()
            .collect();
        let configuration = configuration(guard);
        let filter = pieces::guard(module::path(), &configuration, &setup.environment);
        let listed = listed(guard);
        let names: Vec<_> = OTHERS
            .iter()
            .copied()
            .chain(listed.iter().map(String::as_str))
            .collect();
        Self::start(&names, setup.filter(filter))
    }

    fn peer(&self, name: &str) -> &Peer {
        let found = self.peers.iter().find(|peer| peer.name() == name);
        found.expect("a peer of that name")
    }

    fn send(&self, request: &Request) -> Response {
        client::send(self.envoy.address(), Protocol::Http1, request).expect("a response")
    }

    /// A request without a token leads nowhere.
    fn guards_the_servers(&self, guard: &Guard<'_>) {
        for name in listed(guard) {
            let response = self.send(&post("/mcp").header(TO, &name));
            assert_eq!(response.status, 401, "{}: {name}", guard.resource.place);
            assert_eq!(self.peer(&name).record().bytes, b"");
        }
    }

    /// What came back and what had arrived, but for what is of each time its own.
    fn seen(&self, name: &str, request: &Request) -> Vec<String> {
        let response = self.send(request);
        let mut lines = vec![format!("answered {}", response.status)];
        for message in self.peer(name).take().messages {
            let (method, path) = (lossy(&message.method), lossy(&message.path));
            lines.push(format!("arrived {method} {path}"));
            lines.extend(fields(&message.headers));
            lines.push(lossy(&message.body));
        }
        lines.push("came back".to_owned());
        lines.extend(fields(&response.headers));
        lines.push(lossy(&response.body));
        lines
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn fields(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<String> {
    let of_each_time = ["x-request-id", "date", "x-envoy-upstream-service-time"];
    let lines = fields
        .iter()
        .map(|(name, value)| (lossy(name), lossy(value)));
    lines
        .filter(|(name, _)| !of_each_time.contains(&&**name))
        .map(|(name, value)| format!("{name}: {value}"))
        .collect()
}

/// A request of an application that has tokens of its own everywhere.
fn application(path: &str) -> Request {
    request("POST", path)
        .header("Authorization", "Bearer of-another-kind")
        .header("Authorization", "Basic dXNlcjpwYXNz")
        .header("Cookie", "access_token=of-another-kind; a=b")
        .header("X-Access-Token", "of-another-kind")
        .header("X-Api-Key", "of-the-application")
        .header("Mcp-Session-Id", "of-the-application")
        .header("Origin", "https://page.example.net")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("access_token=of-another-kind")
}

/// Requests that the guard would refuse, change or answer itself if they were
/// for a server of its own.
fn requests(configuration: &Value) -> Vec<Request> {
    let servers = configuration["servers"].as_object().expect("servers");
    let server = servers.values().next().expect("a server");
    let resource = text(&server["resource"]).expect("a resource");
    let resource = url::Url::parse(&resource).expect("a URL");
    let metadata = format!("/.well-known/oauth-protected-resource{}", resource.path());
    let found = [
        application("/anything?access_token=of-another-kind"),
        // The paths of the server, at another host.
        application(resource.path()),
        get("/.well-known/openid-configuration"),
        get("/.well-known/oauth-protected-resource"),
        get(&metadata),
        options(&metadata).header("Origin", "https://page.example.net"),
    ];
    found
        .into_iter()
        .map(|request| request.to("orders.shop.example.net"))
        .collect()
}
