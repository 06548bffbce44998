//! The authority's address: what may stand in it, and where a token may be sent.

use crate::failure::Failure;
use reqwest::Url;
use std::net::IpAddr;

/// Reads the address of an authority. It may have a path, under which a proxy serves it.
pub(crate) fn read(text: &str) -> Result<Url, Failure> {
    let usage = |what: &str| Failure::Usage(format!("--url (or CHANCERY_URL) {what}"));
    let mut url = Url::parse(text).map_err(|error| usage(&format!("`{text}` is no URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(usage(&format!("`{text}` is not of the form https://host[:port]")));
    }
    // Not repeated in the message: what stands there is meant as a password.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(usage("holds a user name or password; give the token in a file or a variable instead"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(usage(&format!("`{text}` has a query or a fragment")));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// The address as it is shown, and as the key of a saved log-in.
pub(crate) fn name(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// Whether what is sent there can be read on the way.
pub(crate) fn is_cleartext(url: &Url) -> bool {
    url.scheme() == "http" && !is_loopback(url)
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// An endpoint. Each part is one segment, whatever it holds.
pub(crate) fn endpoint(base: &Url, path: &[&str]) -> Result<Url, Failure> {
    // A URL drops these, so that the call would go elsewhere.
    if let Some(part) = path.iter().find(|part| matches!(**part, "" | "." | "..")) {
        return Err(Failure::Usage(format!("`{part}` names nothing")));
    }
    let mut url = base.clone();
    url.path_segments_mut().expect("http and https URLs have segments").pop_if_empty().extend(path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_refused() {
        for (text, shown) in [
            ("http://127.0.0.1:7070", "http://127.0.0.1:7070"),
            ("https://Chancery.Example/", "https://chancery.example"),
            ("https://example.com:443/tokens//", "https://example.com/tokens"),
        ] {
            assert_eq!(name(&read(text).unwrap()), shown);
        }
        for bad in
            ["", "localhost:7070", "ftp://x", "unix:/tmp/x", "https://x?a=b", "https://x#a", "https://"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
        let message = read("https://me:hunter2@x").unwrap_err().message();
        assert!(!message.contains("hunter2"), "{message}");
    }

    #[test]
    fn only_loopback_may_be_cleartext() {
        for fine in
            ["http://127.0.0.1:1", "http://127.8.8.8", "http://[::1]:7070", "http://localhost", "https://x"]
        {
            assert!(!is_cleartext(&read(fine).unwrap()), "{fine}");
        }
        for bad in
            ["http://10.0.0.1", "http://localhost.evil.example", "http://127.0.0.1.example", "http://0.0.0.0"]
        {
            assert!(is_cleartext(&read(bad).unwrap()), "{bad}");
        }
    }

    #[test]
    fn each_part_of_a_path_is_one_segment() {
        let base = read("https://example.com/tokens/").unwrap();
        let url = endpoint(&base, &["v1", "organizations", "a/b?c"]).unwrap();
        assert_eq!(url.as_str(), "https://example.com/tokens/v1/organizations/a%2Fb%3Fc");
        for bad in ["", ".", ".."] {
            assert!(endpoint(&base, &["v1", "organizations", bad]).is_err());
        }
    }
}
