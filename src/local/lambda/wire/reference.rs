//! Names of functions as clients write them: a name, a partial ARN or a whole one, with or without a qualifier.

use std::fmt;

use super::error::ApiError;

const NAME_RULE: &str = r"Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?";
const NEW_NAME_RULE: &str = r"Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?";
const QUALIFIER_RULE: &str =
    r"Member must satisfy regular expression pattern: \$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+";
const QUALIFIER_MAX: usize = 128;

/// Of what stands for a new function, and of its name in there.
const NEW_MAX: usize = 140;
const NAME_MAX: usize = 64;

/// The account and region that an endpoint stands for.
#[derive(Clone, Debug)]
pub(in crate::local::lambda) struct Place {
    pub(in crate::local::lambda) region: String,
    pub(in crate::local::lambda) account: String,
}

impl Place {
    /// The ARN of a function, with a qualifier where one is given.
    pub(in crate::local::lambda) fn arn(&self, name: &str, qualifier: Option<&str>) -> String {
        let Self { region, account } = self;
        let arn = format!("arn:aws:lambda:{region}:{account}:function:{name}");
        match qualifier {
            Some(qualifier) => format!("{arn}:{qualifier}"),
            None => arn,
        }
    }
}

/// A function, and what of it is meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::local::lambda) struct Reference {
    pub(in crate::local::lambda) name: String,
    pub(in crate::local::lambda) qualifier: Option<String>,
    region: Option<String>,
    account: Option<String>,
}

impl Reference {
    /// Reads `text`; `qualifier` is what the query says, and must agree with what the text says.
    pub(in crate::local::lambda) fn parse(
        text: &str,
        qualifier: Option<&str>,
    ) -> Result<Self, ApiError> {
        let mut broken = Vec::new();
        if let Some(qualifier) = qualifier
            && let Some(rule) = broken_qualifier(qualifier)
        {
            broken.push((qualifier, "qualifier", rule));
        }
        let read = split(text);
        if read.is_none() {
            broken.push((text, "functionName", NAME_RULE));
        }
        let Some(mut reference) = read.filter(|_| broken.is_empty()) else {
            return Err(ApiError::validations(&broken));
        };
        match (&reference.qualifier, qualifier) {
            (Some(derived), Some(given)) if derived != given => {
                return Err(ApiError::invalid(
                    "The derived qualifier from the function name does not match the specified qualifier.",
                ));
            }
            (_, Some(given)) => reference.qualifier = Some(given.to_owned()),
            (_, None) => {}
        }
        Ok(reference)
    }

    /// Reads what stands for a function that is to be made, which has rules of its own.
    pub(in crate::local::lambda) fn parse_new(text: &str) -> Result<Self, ApiError> {
        let mut broken = Vec::new();
        if text.len() > NEW_MAX {
            let rule = "Member must have length less than or equal to 140";
            broken.push((text, "functionName", rule));
        }
        let no_dots = |read: &Self| {
            let Self {
                name,
                qualifier,
                region: _,
                account: _,
            } = read;
            !name.contains('.') && !qualifier.iter().any(|it| it.contains('.'))
        };
        let read = split(text).filter(no_dots);
        if read.is_none() {
            broken.push((text, "functionName", NEW_NAME_RULE));
        }
        let Some(reference) = read.filter(|_| broken.is_empty()) else {
            return Err(ApiError::validations(&broken));
        };
        let name = &reference.name;
        if name.len() > NAME_MAX {
            // The same words, under another code.
            return Err(ApiError::invalid(format!(
                "1 validation error detected: Value '{name}' at 'functionName' failed to satisfy constraint: Member must have length less than or equal to 64"
            )));
        }
        Ok(reference)
    }

    /// Refuses what lies in another region or account.
    pub(in crate::local::lambda) fn check_place(&self, place: &Place) -> Result<(), ApiError> {
        match (&self.region, &self.account) {
            (Some(region), _) if *region != place.region => Err(ApiError::not_found(format!(
                "Functions from '{region}' are not reachable in this region ('{}')",
                place.region
            ))),
            (_, Some(account)) if *account != place.account => Err(ApiError::denied()),
            (_, _) => Ok(()),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.qualifier
            .iter()
            .try_for_each(|qualifier| write!(f, ":{qualifier}"))
    }
}

fn broken_qualifier(qualifier: &str) -> Option<&'static str> {
    if qualifier.len() > QUALIFIER_MAX {
        return Some("Member must have length less than or equal to 128");
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '$');
    (qualifier.is_empty() || !qualifier.chars().all(legal)).then_some(QUALIFIER_RULE)
}

fn split(text: &str) -> Option<Reference> {
    let mut parts: Vec<&str> = text.split(':').collect();
    // A split gives one part at least.
    if parts[0] == "arn" {
        if parts.len() < 4 || !parts[1].starts_with("aws") || parts[2] != "lambda" {
            return None;
        }
        parts.drain(..3);
    }
    let mut parts = parts.into_iter().peekable();
    let region = parts.next_if(|part| is_region(part)).map(str::to_owned);
    let is_account = |part: &&str| part.len() == 12 && part.bytes().all(|b| b.is_ascii_digit());
    let account = parts.next_if(is_account).map(str::to_owned);
    let mut name = parts.next();
    if name == Some("function") && parts.peek().is_some() {
        name = parts.next();
    }
    // A twelve-digit name alone is a name after all.
    let (name, account) = match (name, account) {
        (None, Some(digits)) => (digits, None),
        (Some(name), account) => (name.to_owned(), account),
        (None, None) => return None,
    };
    let qualifier = parts.next();
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let qualifier_legal =
        |text: &str| text == "$LATEST" || (!text.is_empty() && text.chars().all(legal));
    let sound = !name.is_empty()
        && name.chars().all(legal)
        && qualifier.is_none_or(qualifier_legal)
        && parts.next().is_none();
    sound.then(|| Reference {
        name,
        qualifier: qualifier.map(str::to_owned),
        region,
        account,
    })
}

/// Reads like `eu-west-1` or `us-gov-east-1`.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let lower = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    match parts.split_last() {
        Some((last, words)) => {
            words.len() >= 2
                && words[0].len() == 2
                && words.iter().all(lower)
                && last.len() == 1
                && last.bytes().all(|b| b.is_ascii_digit())
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_name_a_function_is_read() {
        let arn = "arn:aws:lambda:eu-west-1:111122223333:function";
        let cases = [
            ("stock".to_owned(), None, Some(("stock", None))),
            ("stock:7".to_owned(), None, Some(("stock", Some("7")))),
            (
                "stock:blue".to_owned(),
                Some("blue"),
                Some(("stock", Some("blue"))),
            ),
            (
                "stock".to_owned(),
                Some("$LATEST"),
                Some(("stock", Some("$LATEST"))),
            ),
            (
                "stock:$LATEST".to_owned(),
                None,
                Some(("stock", Some("$LATEST"))),
            ),
            ("function:stock".to_owned(), None, Some(("stock", None))),
            (
                "111122223333:function:stock:1".to_owned(),
                None,
                Some(("stock", Some("1"))),
            ),
            (
                "111122223333".to_owned(),
                None,
                Some(("111122223333", None)),
            ),
            (format!("{arn}:stock"), None, Some(("stock", None))),
            (
                format!("{arn}:stock:blue"),
                None,
                Some(("stock", Some("blue"))),
            ),
            (format!("{arn}:stock:1:2"), None, None),
            ("stock:blue".to_owned(), Some("green"), None),
            ("my-function!".to_owned(), None, None),
            ("*".to_owned(), None, None),
            (String::new(), None, None),
            (
                "arn:aws:ec2:eu-west-1:111122223333:instance:i-1".to_owned(),
                None,
                None,
            ),
            ("invalid-account:function:stock".to_owned(), None, None),
        ];
        for (text, qualifier, expected) in cases {
            let told = Reference::parse(&text, qualifier).ok();
            let told = told
                .as_ref()
                .map(|r| (r.name.as_str(), r.qualifier.as_deref()));
            assert_eq!(told, expected, "{text} {qualifier:?}");
        }
    }
}
