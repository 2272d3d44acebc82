//! Spark Connect endpoints as the configuration has them: checked for form, secrets kept.

use std::fmt;
use std::str::FromStr;

use super::address::{Address, is_host_name};

/// A connection string `sc://host[:port][/;key=value…]`. Printing it hides the token.
#[derive(Clone, PartialEq, Eq)]
pub struct Remote(String);

/// A text that is no Spark Connect endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`sc://host:port`, with `/;token=…;use_ssl=true;user_id=…` after it if needed")]
pub struct InvalidRemote;

impl Remote {
    /// The whole connection string, with its secrets: for the client only, never for a log.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hide_token(&self.0))
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Remote {
    type Err = InvalidRemote;

    fn from_str(text: &str) -> Result<Self, InvalidRemote> {
        let rest = text.strip_prefix("sc://").ok_or(InvalidRemote)?;
        let (authority, params) = match rest.split_once('/') {
            Some((authority, params)) => (authority, params),
            None => (rest, ""),
        };
        if authority.parse::<Address>().is_err() && !is_host_name(authority) {
            return Err(InvalidRemote);
        }
        let all_pairs = params
            .split(';')
            .filter(|param| !param.is_empty())
            .all(|param| {
                param
                    .split_once('=')
                    .is_some_and(|(key, _)| !key.is_empty())
            });
        let well_formed = all_pairs && (params.is_empty() || params.starts_with(';'));
        if well_formed && !text.contains(char::is_whitespace) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidRemote)
        }
    }
}

/// The text with the value of every `token=` replaced.
pub(super) fn hide_token(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.to_ascii_lowercase().find("token=") {
        let (before, after) = rest.split_at(at + "token=".len());
        shown.push_str(before);
        shown.push('…');
        rest = after.find([';', '"']).map_or("", |end| &after[end..]);
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_of_the_contract_are_taken() {
        for good in [
            "sc://127.0.0.1:15002",
            "sc://spark",
            "sc://spark:15002/",
            "sc://[::1]:15002/;user_id=a",
            "sc://h:1/;token=t=;use_ssl=true;user_id=libra",
        ] {
            assert_eq!(good.parse::<Remote>().unwrap().reveal(), good);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in [
            "",
            "127.0.0.1:15002",
            "sc://",
            "sc://:1",
            "http://h:1",
            "sc://h:x",
            "sc://h:1/path",
            "sc://h:1/;token",
            "sc://h:1/;=x",
            "sc://h h:1",
            "sc://a:1,sc://b:1",
        ] {
            assert!(bad.parse::<Remote>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_token_is_never_shown() {
        let remote: Remote = "sc://h:1/;token=secret;use_ssl=true".parse().unwrap();
        assert_eq!(remote.to_string(), "sc://h:1/;token=…;use_ssl=true");
        assert!(!format!("{remote:?}").contains("secret"));
        assert_eq!(
            hide_token(r#"["sc://a/;TOKEN=x","sc://b/;token=y"]"#),
            r#"["sc://a/;TOKEN=…","sc://b/;token=…"]"#
        );
    }
}
