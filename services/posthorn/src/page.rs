//! The demo page: the files of `clients/web`, in the binary.

use std::fmt::Write;

use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use sha2::{Digest, Sha256};

/// Scripts, styles and connections of the page's own origin alone; `'self'` covers its WebSocket
/// (Content Security Policy Level 3, section 6.7.2.8).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

struct Asset {
    path: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($path:literal $media_type:ident $file:literal)*) => {
        &[$(Asset {
            path: $path,
            media_type: $media_type,
            bytes: include_bytes!(concat!("../../../clients/web/", $file)),
        },)*]
    };
}

const ASSETS: &[Asset] = assets! {
    "/" HTML "index.html"
    "/favicon.ico" SVG "icon.svg"
    "/assets/icon.svg" SVG "icon.svg"
    "/assets/base.css" CSS "base.css"
    "/assets/page.css" CSS "page.css"
    "/assets/chat.css" CSS "chat.css"
    "/assets/frames.css" CSS "frames.css"
    "/assets/js/client.js" JS "js/client.js"
    "/assets/js/codes.js" JS "js/codes.js"
    "/assets/js/connection.js" JS "js/connection.js"
    "/assets/js/emitter.js" JS "js/emitter.js"
    "/assets/js/ids.js" JS "js/ids.js"
    "/assets/js/marks.js" JS "js/marks.js"
    "/assets/js/outbox.js" JS "js/outbox.js"
    "/assets/js/timeline.js" JS "js/timeline.js"
    "/assets/js/wire.js" JS "js/wire.js"
    "/assets/js/page/app.js" JS "js/page/app.js"
    "/assets/js/page/composer.js" JS "js/page/composer.js"
    "/assets/js/page/dom.js" JS "js/page/dom.js"
    "/assets/js/page/frames.js" JS "js/page/frames.js"
    "/assets/js/page/list.js" JS "js/page/list.js"
    "/assets/js/page/messages.js" JS "js/page/messages.js"
    "/assets/js/page/panel.js" JS "js/page/panel.js"
    "/assets/js/page/words.js" JS "js/page/words.js"
};

/// `GET /` and what the page needs. To be merged into the listener's router.
pub fn routes() -> Router {
    ASSETS.iter().fold(Router::new(), |router, asset| {
        let tag = tag_of(asset.bytes);
        router.route(asset.path, get(async move |headers: HeaderMap| answer(asset, &tag, &headers)))
    })
}

/// A strong validator (RFC 9110 section 8.8.3): the content decides.
fn tag_of(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let mut tag = String::from('"');
    for byte in &digest[..12] {
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

fn answer(asset: &'static Asset, tag: &str, headers: &HeaderMap) -> Response {
    let fixed: [(HeaderName, &'static str); 6] = [
        (header::CONTENT_TYPE, asset.media_type),
        // Kept, but asked about each time: after an upgrade nobody runs half of an older page.
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|value| names(value, tag));
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { asset.bytes.into_response() };
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// `If-None-Match` compares weakly (RFC 9110 section 13.1.2).
fn names(value: &HeaderValue, tag: &str) -> bool {
    let listed = value.to_str().unwrap_or_default().split(',').map(str::trim);
    listed.into_iter().any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::*;

    fn asset(path: &str) -> &'static Asset {
        ASSETS.iter().find(|asset| asset.path == path).unwrap_or_else(|| panic!("{path} is not served"))
    }

    fn text(asset: &Asset) -> &str {
        std::str::from_utf8(asset.bytes).unwrap()
    }

    /// Every quoted relative import of a module, as the path it is served under.
    fn imports(asset: &Asset) -> Vec<String> {
        let (folder, _) = asset.path.rsplit_once('/').unwrap();
        let quoted = text(asset).split("from \"").skip(1).filter_map(|rest| rest.split('"').next());
        quoted
            .map(|import| match import.strip_prefix("../") {
                Some(above) => format!("{}/{above}", folder.rsplit_once('/').unwrap().0),
                None => format!("{folder}/{}", import.strip_prefix("./").unwrap()),
            })
            .collect()
    }

    #[test]
    fn whatever_the_page_asks_for_is_served_and_nothing_else_is() {
        let mut asked: BTreeSet<String> = ["/", "/favicon.ico"].map(str::to_owned).into();
        let index = text(asset("/"));
        asked.extend(index.split('"').filter(|word| word.starts_with("/assets/")).map(str::to_owned));
        let modules = ASSETS.iter().filter(|asset| asset.media_type == JS);
        asked.extend(modules.flat_map(imports));
        let served: BTreeSet<String> = ASSETS.iter().map(|asset| asset.path.to_owned()).collect();
        assert_eq!(asked, served);
    }

    #[test]
    fn no_file_of_the_page_is_forgotten() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../clients/web");
        let mut folders = vec![root];
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files += 1;
                }
            }
        }
        // The icon is served twice.
        assert_eq!(files, ASSETS.len() - 1);
    }

    #[test]
    fn the_page_needs_nothing_that_its_policy_forbids() {
        let index = text(asset("/"));
        assert!(!index.contains("<script>") && !index.contains("<style") && !index.contains(" style="));
        assert!(!index.contains("://"), "nothing comes from another host");
    }

    #[test]
    fn what_the_browser_has_is_not_sent_again() {
        let asset = asset("/assets/base.css");
        let tag = tag_of(asset.bytes);
        let status = |given: &str| {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, given.parse().unwrap())]);
            answer(asset, &tag, &headers).status()
        };
        assert_eq!(answer(asset, &tag, &HeaderMap::new()).status(), StatusCode::OK);
        assert_eq!(status(&tag), StatusCode::NOT_MODIFIED);
        assert_eq!(status(&format!("\"other\", W/{tag}")), StatusCode::NOT_MODIFIED);
        assert_eq!(status("\"other\""), StatusCode::OK);
        let first = answer(asset, &tag, &HeaderMap::new());
        assert_eq!(first.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(first.headers()[header::CONTENT_TYPE], CSS);
        assert!(first.headers().contains_key(header::CONTENT_SECURITY_POLICY));
    }
}
