//! `servers`: one MCP server each.

use super::authorization_servers::Known;
use super::cursor::{Node, Reader, each};
use super::default_headers::DefaultHeaders;
use super::rules;
use super::scope::{self, Implications};
use super::uri;
use super::{Resource, Role, Server, credential};
use crate::access::{Requirement, normal_form};
use crate::certificate::CertificateBinding;
use crate::denial::Challenges;
use crate::fields::{BUILT_IN_STRIP, NameSet};
use crate::metadata;
use crate::servers::{ClusterPattern, Servers};

/// What holds for every server.
pub(super) struct Common<'a> {
    /// `strip_headers`, lower case.
    pub(super) strip_headers: Vec<String>,
    /// `identity_headers`: lower-case name, claim.
    pub(super) identity_headers: Vec<(String, String)>,
    /// `scope_implies`.
    pub(super) implications: Implications<'a>,
    /// `role`, where it could be read.
    pub(super) role: Option<Role>,
    /// `authorization_servers`, or the one.
    pub(super) authorization_servers: &'a Known<'a>,
}

/// Reads `servers`.
pub(super) fn read(
    node: &Node<'_>,
    common: &Common<'_>,
    reader: &mut Reader<'_>,
) -> Option<Servers> {
    let entries = node.entries(reader)?;
    if entries.is_empty() || entries.len() > MOST_SERVERS {
        reader.report(
            &node.path,
            format_args!("must have 1 to {MOST_SERVERS} servers"),
        );
        return None;
    }
    let read: Vec<_> = entries
        .iter()
        .map(|(name, node)| server(name, node, common, reader))
        .collect();
    let all: Option<Vec<_>> = read.into_iter().collect();
    Servers::new(all?)
        .map_err(|overlaps| {
            for overlap in overlaps {
                reader.report(
                    &node.path.key(&overlap.second),
                    format_args!("and {} {}", node.path.key(&overlap.first), overlap.reason),
                );
            }
        })
        .ok()
}

fn server(
    name: &str,
    node: &Node<'_>,
    common: &Common<'_>,
    reader: &mut Reader<'_>,
) -> Option<(Server, Vec<ClusterPattern>)> {
    let is_name = is_name(name);
    if !is_name {
        reader.report(
            &node.path,
            "is not a server name; use 1 to 64 of A-Z, a-z, 0-9, `_` and `-`",
        );
    }
    let mut members = node.object(reader)?;
    let default_cluster = vec![ClusterPattern::parse(name)];
    let clusters = match members.take("cluster") {
        Some(node) => clusters(&node, reader),
        None => default_cluster.into_iter().collect::<Result<_, _>>().ok(),
    };
    let resource = members
        .require("resource", reader)
        .and_then(|node| node.parsed(reader, uri::resource));
    let issuers = common.authorization_servers.of_server(&mut members, reader);
    let audience = members.or("audience", None, reader, |node, reader| {
        audience(node, reader).map(Some)
    });
    let elsewhere = members.or(
        "audience_checked_by_authorization_server",
        false,
        reader,
        Node::boolean,
    );
    let certificates = members.or(
        "certificate_bound_tokens",
        CertificateBinding::Refused,
        reader,
        |node, reader| node.boolean_or(reader, accepted, BINDINGS),
    );
    let scopes = members.or("required_scopes", Vec::new(), reader, |node, reader| {
        node.strings(reader, scope::required)
    });
    let headers = members.or(
        "default_headers",
        DefaultHeaders::default(),
        reader,
        |node, reader| DefaultHeaders::read(node, common, reader),
    );
    let credential = members.or("credential", None, reader, |node, reader| {
        credential::read(node, common.role, reader).map(Some)
    });
    let rules = members.or("rules", None, reader, |node, reader| {
        rules::read(node, &common.implications, reader).map(Some)
    });
    members.finish(reader);
    let (resource, scopes, headers) = (resource?, scopes?, headers?);
    let credential = credential?;
    let sets = |name: &str| headers.fields.iter().any(|(set, _)| set == name);
    if credential.is_some() && sets("authorization") {
        reader.report(
            &node.path.key("default_headers"),
            "has Authorization, which `credential` sets; keep one of the two",
        );
        return None;
    }
    let server = Server {
        name: name.to_owned(),
        authorization_servers: issuers?,
        requirement: Requirement {
            audience: audience?.unwrap_or_else(|| vec![normal_form(&resource.uri)]),
            audience_checked_by_authorization_server: elsewhere?,
            certificates: certificates?,
            scopes: scopes
                .iter()
                .map(|name| common.implications.requirement(name.clone()))
                .collect(),
        },
        rules: rules?,
        strip: strip(&headers, common),
        challenges: challenges(&resource, &scopes),
        resource,
        credential,
        default_headers: headers.fields,
        credentials: headers.credentials,
    };
    is_name.then_some((server, clusters?))
}

/// A name that can be part of the name of a metric.
pub(super) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn clusters(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Vec<ClusterPattern>> {
    let items = node.one_or_list();
    if items.is_empty() {
        reader.report(&node.path, "is an empty list; name a cluster or remove it");
        return None;
    }
    each(&items, reader, ClusterPattern::parse)
}

fn audience(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Vec<String>> {
    let audience = node.strings(reader, |text| match text {
        "" => Err("is empty; give an audience or remove it"),
        text => Ok(normal_form(text)),
    })?;
    if audience.is_empty() {
        reader.report(
            &node.path,
            "is an empty list, so no token would do; name an audience or remove it",
        );
        return None;
    }
    Some(audience)
}

fn strip(headers: &DefaultHeaders, common: &Common<'_>) -> NameSet {
    let built_in = BUILT_IN_STRIP.iter().copied();
    let configured = common.strip_headers.iter().map(String::as_str);
    let identity = common
        .identity_headers
        .iter()
        .map(|(name, _)| name.as_str());
    let own = headers.fields.iter().map(|(name, _)| name.as_str());
    NameSet::new(built_in.chain(configured).chain(identity).chain(own))
}

fn challenges(resource: &Resource, scopes: &[String]) -> Challenges {
    let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
    Challenges::new(&metadata::url(resource), &scopes)
}

/// What `certificate_bound_tokens` is without a word.
fn accepted(value: bool) -> CertificateBinding {
    if value {
        CertificateBinding::Accepted
    } else {
        CertificateBinding::Refused
    }
}

/// `certificate_bound_tokens`.
const BINDINGS: &[(&str, CertificateBinding)] = &[("required", CertificateBinding::Required)];

/// Servers in a configuration.
const MOST_SERVERS: usize = 1_000;
