//! A function, its versions, its alias and its URL.

use serde_json::{Map, Value, json};

use super::{Resources, Written, members, role::tag_list};
use crate::local::stacks::{Fault, fault, value::text_of};

/// What goes to the function as it is.
const PASSED: &[&str] = &[
    "Architectures",
    "Description",
    "Environment",
    "EphemeralStorage",
    "FileSystemConfigs",
    "FunctionName",
    "Handler",
    "KmsKeyArn",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "PackageType",
    "ReservedConcurrentExecutions",
    "Role",
    "Runtime",
    "SnapStart",
    "Timeout",
    "VpcConfig",
];

/// What more is acted on.
const KNOWN: &[&str] = &[
    "AssumeRolePolicyDocument",
    "AutoPublishAlias",
    "AutoPublishCodeSha256",
    "CodeUri",
    "DeadLetterQueue",
    "EventInvokeConfig",
    "Events",
    "FunctionUrlConfig",
    "InlineCode",
    "PermissionsBoundary",
    "Policies",
    "ProvisionedConcurrencyConfig",
    "RolePath",
    "Tags",
    "Tracing",
    "VersionDeletionPolicy",
    "VersionDescription",
];

impl Written<'_> {
    pub(super) fn expand(&self, out: &mut Resources) -> Result<(), Fault> {
        self.check()?;
        let code = self.code()?;
        let alias = self.alias()?;
        let mut managed = Vec::new();
        out.insert(self.name.to_owned(), self.function(&code));
        if let Some(alias) = &alias {
            self.publish(alias, &code, out);
        }
        let target = Target {
            function: self.name.to_owned(),
            alias: alias.as_deref().map(|it| self.alias_id(it)),
        };
        if let Some(url) = self.property("FunctionUrlConfig") {
            self.url(url, &target, out);
        }
        if let Some(asked) = self.property("EventInvokeConfig") {
            self.asynchronous(asked, alias.as_deref(), out)?;
        }
        self.events(&target, &mut managed, out)?;
        if self.property("Role").is_none() {
            let role = self.role(&managed)?;
            out.insert(format!("{}Role", self.name), role);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Fault> {
        let names = self.it["Properties"]
            .as_object()
            .into_iter()
            .flat_map(Map::keys);
        let is_known = |name: &str| PASSED.contains(&name) || KNOWN.contains(&name);
        if let Some(name) = names.into_iter().find(|name| !is_known(name)) {
            return fault(format!("this endpoint does not know the property {name}"));
        }
        for name in ["Runtime", "Handler"] {
            if self.property(name).is_none() {
                return fault(
                    "Runtime and Handler needs to be present when PackageType is of type `Zip`",
                );
            }
        }
        if self.property("ProvisionedConcurrencyConfig").is_some()
            && self.property("AutoPublishAlias").is_none()
        {
            return fault(
                "To set ProvisionedConcurrencyConfig AutoPublishALias must be defined on the function",
            );
        }
        Ok(())
    }

    fn code(&self) -> Result<Value, Fault> {
        if let Some(inline) = self.property("InlineCode") {
            return Ok(json!({"ZipFile": inline}));
        }
        let malformed = "'CodeUri' is not a valid S3 Uri of the form 's3://bucket/key' with optional versionId query parameter.";
        let code = match self.property("CodeUri") {
            Some(Value::String(uri)) => {
                let Some((bucket, key)) =
                    uri.strip_prefix("s3://").and_then(|it| it.split_once('/'))
                else {
                    return fault(malformed);
                };
                let (key, version) = key.split_once("?versionId=").unwrap_or((key, ""));
                members([
                    ("S3Bucket", Some(json!(bucket))),
                    ("S3Key", Some(json!(key))),
                    (
                        "S3ObjectVersion",
                        (!version.is_empty()).then(|| json!(version)),
                    ),
                ])
            }
            Some(it @ Value::Object(_)) => members([
                ("S3Bucket", it.get("Bucket").cloned()),
                ("S3Key", it.get("Key").cloned()),
                ("S3ObjectVersion", it.get("Version").cloned()),
            ]),
            Some(_) | None => return fault(malformed),
        };
        Ok(Value::Object(code))
    }

    fn function(&self, code: &Value) -> Value {
        let mut properties = Map::new();
        properties.insert("Code".to_owned(), code.clone());
        for name in PASSED {
            properties.extend(
                self.property(name)
                    .map(|it| ((*name).to_owned(), it.clone())),
            );
        }
        if self.property("Role").is_none() {
            let role = json!({"Fn::GetAtt": [format!("{}Role", self.name), "Arn"]});
            properties.insert("Role".to_owned(), role);
        }
        if let Some(mode) = self.traced() {
            properties.insert("TracingConfig".to_owned(), json!({"Mode": mode}));
        }
        if let Some(letters) = self.property("DeadLetterQueue") {
            let target = json!({"TargetArn": letters["TargetArn"]});
            properties.insert("DeadLetterConfig".to_owned(), target);
        }
        if let Some(digest) = self
            .known_text("AutoPublishCodeSha256")
            .filter(|_| self.property("AutoPublishAlias").is_some())
        {
            let described = match self.known_text("Description") {
                Some(text) => format!("{text} {digest}"),
                None => digest,
            };
            properties.insert("Description".to_owned(), json!(described));
        }
        properties.insert("Tags".to_owned(), tag_list(self.property("Tags")));
        let mut function = self.resource("AWS::Lambda::Function", properties);
        for name in ["DependsOn", "Metadata"] {
            if let Some(value) = self.it.get(name) {
                function[name] = value.clone();
            }
        }
        function
    }

    pub(super) fn traced(&self) -> Option<&Value> {
        let is_off = self
            .known_text("Tracing")
            .is_some_and(|it| it == "Disabled");
        self.property("Tracing").filter(|_| !is_off)
    }

    fn alias(&self) -> Result<Option<String>, Fault> {
        if self.property("AutoPublishAlias").is_none() {
            return Ok(None);
        }
        let sound = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let alias = self.known_text("AutoPublishAlias");
        match alias.filter(|it| it.chars().all(sound) && !it.chars().all(|c| c.is_ascii_digit())) {
            Some(alias) => Ok(Some(alias)),
            None => fault("'AutoPublishAlias' must be a string or a Ref to a template parameter"),
        }
    }

    fn alias_id(&self, alias: &str) -> String {
        let sound = alias.replace('-', "D").replace('_', "U");
        format!("{}Alias{sound}", self.name)
    }

    /// A version for each code and environment, and the alias that goes from one to the next.
    fn publish(&self, alias: &str, code: &Value, out: &mut Resources) {
        let version = format!("{}Version{}", self.name, self.digest(code));
        let function = json!({"Ref": self.name});
        let described = self.property("VersionDescription").cloned();
        let properties = members([
            ("FunctionName", Some(function.clone())),
            ("Description", described),
        ]);
        let mut resource = self.resource("AWS::Lambda::Version", properties);
        if resource.get("DeletionPolicy").is_none() {
            let policy = self.property("VersionDeletionPolicy").cloned();
            resource["DeletionPolicy"] = policy.unwrap_or_else(|| json!("Retain"));
        }
        out.insert(version.clone(), resource);
        let properties = members([
            ("Name", Some(json!(alias))),
            ("FunctionName", Some(function)),
            (
                "FunctionVersion",
                Some(json!({"Fn::GetAtt": [version, "Version"]})),
            ),
            (
                "ProvisionedConcurrencyConfig",
                self.property("ProvisionedConcurrencyConfig").cloned(),
            ),
        ]);
        let resource = self.resource("AWS::Lambda::Alias", properties);
        out.insert(self.alias_id(alias), resource);
    }

    /// Ten digits that change with what a version holds.
    fn digest(&self, code: &Value) -> String {
        let given = self.known_text("AutoPublishCodeSha256");
        let digest = given.unwrap_or_else(|| {
            let mut held = self.known(code);
            if let (Some(held), Some(Value::Object(environment))) =
                (held.as_object_mut(), self.property("Environment"))
            {
                held.extend(environment.clone());
            }
            if let Some(memory) = self.property("MemorySize") {
                held["MemorySize"] = memory.clone();
            }
            let snaps = self
                .property("SnapStart")
                .filter(|it| text_of(&it["ApplyOn"]).is_some_and(|it| it != "None"));
            if let Some(snaps) = snaps {
                held["SnapStart"] = snaps.clone();
            }
            sha1_smol::Sha1::from(ascii(&held.to_string()))
                .digest()
                .to_string()
        });
        digest.chars().take(10).collect()
    }

    fn url(&self, asked: &Value, target: &Target, out: &mut Resources) {
        let mut properties = members([("TargetFunctionArn", Some(target.named()))]);
        for name in ["AuthType", "Cors", "InvokeMode"] {
            properties.extend(asked.get(name).map(|it| (name.to_owned(), it.clone())));
        }
        out.insert(
            format!("{}Url", self.name),
            self.resource("AWS::Lambda::Url", properties),
        );
        if asked["AuthType"] != "NONE" {
            return;
        }
        let public = members([
            ("Action", Some(json!("lambda:InvokeFunctionUrl"))),
            ("FunctionName", Some(target.named())),
            ("Principal", Some(json!("*"))),
            ("FunctionUrlAuthType", Some(json!("NONE"))),
        ]);
        let by_url = members([
            ("Action", Some(json!("lambda:InvokeFunction"))),
            ("FunctionName", Some(target.named())),
            ("Principal", Some(json!("*"))),
            ("InvokedViaFunctionUrl", Some(json!(true))),
        ]);
        for (name, properties) in [
            ("UrlPublicPermissions", public),
            ("URLInvokeAllowPublicAccess", by_url),
        ] {
            let permission = self.resource("AWS::Lambda::Permission", properties);
            out.insert(format!("{}{name}", self.name), permission);
        }
    }

    fn asynchronous(
        &self,
        asked: &Value,
        alias: Option<&str>,
        out: &mut Resources,
    ) -> Result<(), Fault> {
        if asked.get("DestinationConfig").is_some() {
            return fault("this endpoint does not know DestinationConfig of EventInvokeConfig");
        }
        let properties = members([
            ("FunctionName", Some(json!({"Ref": self.name}))),
            ("Qualifier", Some(json!(alias.unwrap_or("$LATEST")))),
            ("DestinationConfig", Some(json!({}))),
            (
                "MaximumEventAgeInSeconds",
                asked.get("MaximumEventAgeInSeconds").cloned(),
            ),
            (
                "MaximumRetryAttempts",
                asked.get("MaximumRetryAttempts").cloned(),
            ),
        ]);
        let mut resource = self.resource("AWS::Lambda::EventInvokeConfig", properties);
        if let Some(metadata) = self.it.get("Metadata") {
            resource["Metadata"] = metadata.clone();
        }
        if let Some(alias) = alias {
            resource["DependsOn"] = json!([self.alias_id(alias)]);
        }
        out.insert(format!("{}EventInvokeConfig", self.name), resource);
        Ok(())
    }
}

/// As the translator's language writes JSON: other letters than ASCII's as their numbers.
fn ascii(text: &str) -> String {
    let mut units = [0; 2];
    let mut told = String::new();
    for letter in text.chars() {
        match letter.is_ascii() {
            true => told.push(letter),
            false => {
                let units = letter.encode_utf16(&mut units).iter();
                told.extend(units.map(|unit| format!("\\u{unit:04x}")));
            }
        }
    }
    told
}

/// What calls a function: the alias, where there is one.
pub(super) struct Target {
    function: String,
    alias: Option<String>,
}

impl Target {
    pub(super) fn named(&self) -> Value {
        json!({"Ref": self.alias.as_ref().unwrap_or(&self.function)})
    }

    pub(super) fn arn(&self) -> Value {
        match &self.alias {
            Some(alias) => json!({"Ref": alias}),
            None => json!({"Fn::GetAtt": [self.function, "Arn"]}),
        }
    }
}
