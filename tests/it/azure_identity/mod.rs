//! Every way in which Azure's own tools find out who they are is ours, too: the program is started with what each way needs, the services
//! that give tokens refuse what the vendor documents as wrong, and the resource manager sees whose token it is shown.

mod service;

use std::path::Path;

use tempfile::TempDir;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;
use verdigris::{
    clock::SystemClock,
    git::author::Author,
    local::arm::{self, ArmOptions},
};

use self::service::{CLIENT, FEDERATED, HEADER, SECRET, Service, TENANT};
use crate::{cloud_azure::tap::Tap, peers, stage::real::SERVICE};

/// A repository with one service in two environments, each in a resource group of its own name.
struct Place {
    folder: TempDir,
    author: Author,
    service: Service,
}

/// What the program said, and whose tokens were shown.
struct Ran {
    code: Option<i32>,
    told: String,
    prod: String,
    test: String,
}

impl Place {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let author = Author::init(&folder.path().join("shop.git")).unwrap();
        author.write("service.yaml", SERVICE).unwrap();
        author
            .write(
                "services/hello/app.py",
                "async def app(scope, receive, send): pass\n",
            )
            .unwrap();
        for name in ["prod", "test"] {
            let text = format!(
                "apiVersion: verdigris.dev/v1alpha1\nkind: Environment\nmetadata: {{ name: {name} }}\nspec:\n  azure: {{ subscription: 6f1c2b8e-4d0a-4c55-9a37-2f7d1e90c4ab, resourceGroup: {name}, location: westeurope, plan: EP1 }}\n"
            );
            author.write(&format!("{name}.yaml"), text).unwrap();
        }
        author.commit("the shop opens").unwrap();
        std::fs::create_dir(folder.path().join("home")).unwrap();
        let service = Service::start(folder.path()).await;
        Self {
            folder,
            author,
            service,
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A file of somebody's secrets.
    fn file(&self, name: &str, text: &str) -> String {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        self.path(name)
    }

    /// Runs `verdigris plan` with these lines below `clouds.azure`, and nothing in its environment but these variables.
    async fn plan(&self, azure: &str, variables: &[(&str, &str)]) -> Ran {
        let (tls, ca_file) = (&self.service.tls, &self.service.ca_file);
        let config = format!(
            "clouds:\n  azure:\n    endpoint: {tls}\n    authority: {tls}\n    caFile: {}\n{azure}\n\
             repositories:\n  - url: file://{}\n",
            ca_file.display(),
            self.author.folder().display(),
        );
        let config = self.file("verdigris.yaml", &config);
        let mut command = Command::new(env!("CARGO_BIN_EXE_verdigris"));
        command
            .args(["plan", "--config", &config])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.folder.path().join("home"))
            .envs(variables.iter().copied());
        let ended = command.kill_on_drop(true).output().await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut shown = self.service.take_shown();
        let mut of = |group| shown.remove(group).unwrap_or_else(|| "nobody".to_owned());
        Ran {
            code: ended.status.code(),
            told: format!("{}{}", text(&ended.stdout), text(&ended.stderr)),
            prod: of("prod"),
            test: of("test"),
        }
    }

    /// Nothing was written where programs keep what they know of their user.
    fn is_clean(&self) -> bool {
        let home = std::fs::read_dir(self.folder.path().join("home")).unwrap();
        home.count() == 0
    }
}

/// Both environments are asked for by this one, who is told by nobody.
fn is(ran: &Ran, who: &str) {
    assert_eq!(
        (ran.prod.as_str(), ran.test.as_str()),
        (who, who),
        "{}",
        ran.told
    );
    assert_eq!(ran.code, Some(2), "there is something to do: {}", ran.told);
    assert!(!ran.told.contains(SECRET) && !ran.told.contains(FEDERATED));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_says_who_we_are_as_it_does_to_the_vendors_tools() {
    let place = Place::new().await;
    let service = &place.service;
    let certificate = service.certificate.to_str().unwrap();
    let federated = place.file("federated", &format!("{FEDERATED}\n"));
    let app = format!("{}/app/token", service.plain);
    let principal = [("AZURE_TENANT_ID", TENANT), ("AZURE_CLIENT_ID", CLIENT)];
    let ways: [(&str, &[(&str, &str)]); 6] = [
        ("secret", &[("AZURE_CLIENT_SECRET", SECRET)]),
        (
            "certificate",
            &[("AZURE_CLIENT_CERTIFICATE_PATH", certificate)],
        ),
        (
            "certificate-with-chain",
            &[
                ("AZURE_CLIENT_CERTIFICATE_PATH", certificate),
                ("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", "true"),
            ],
        ),
        ("federated", &[("AZURE_FEDERATED_TOKEN_FILE", &federated)]),
        // The first that the vendor's own chain would take.
        (
            "secret",
            &[
                ("AZURE_CLIENT_SECRET", SECRET),
                ("AZURE_FEDERATED_TOKEN_FILE", &federated),
            ],
        ),
        (
            "app-service-22222222-2222-2222-2222-222222222222",
            &[("IDENTITY_ENDPOINT", &app), ("IDENTITY_HEADER", HEADER)],
        ),
    ];
    for (who, variables) in ways {
        let variables: Vec<_> = principal.iter().chain(variables).copied().collect();
        is(&place.plan("", &variables).await, who);
    }
    let machine = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", service.plain.as_str())];
    is(&place.plan("", &machine).await, "machine");
    assert!(place.is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_says_who_we_are_in_each_environment() {
    let place = Place::new().await;
    let service = &place.service;
    let secret = place.file("secret", SECRET);
    let federated = place.file("federated", FEDERATED);
    let certificate = service.certificate.display();
    let principal = format!("tenant: {TENANT}, client: {CLIENT}");
    let ways = [
        (
            format!("identity: {{ from: secret, {principal}, secret: {{ file: {secret} }} }}"),
            "secret",
        ),
        (
            format!("identity: {{ from: certificate, {principal}, certificate: {certificate} }}"),
            "certificate",
        ),
        (
            format!(
                "identity: {{ from: certificate, {principal}, certificate: {certificate}, sendChain: true }}"
            ),
            "certificate-with-chain",
        ),
        (
            format!("identity: {{ from: federated, {principal}, tokenFile: {federated} }}"),
            "federated",
        ),
        ("identity: { from: managed }".to_owned(), "machine"),
        (
            "identity: { from: managed, client: shop }".to_owned(),
            "machine-shop",
        ),
    ];
    let machine = ("AZURE_POD_IDENTITY_AUTHORITY_HOST", service.plain.as_str());
    for (way, who) in ways {
        // What the environment says of somebody else does not count.
        let other = ("AZURE_CLIENT_SECRET", "of somebody else");
        let ran = place.plan(&format!("    {way}"), &[machine, other]).await;
        is(&ran, who);
    }

    let both = format!(
        "    identity: {{ from: managed }}\n    identities:\n      prod: {{ from: secret, tenant: {{ env: SHOP_TENANT }}, {}, secret: {{ env: SHOP_SECRET }} }}",
        format_args!("client: {CLIENT}")
    );
    let variables = [machine, ("SHOP_TENANT", TENANT), ("SHOP_SECRET", SECRET)];
    let ran = place.plan(&both, &variables).await;
    assert_eq!(
        (ran.prod.as_str(), ran.test.as_str()),
        ("secret", "machine")
    );
    assert!(place.is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_is_told_why_and_nothing_of_what_was_shown() {
    let place = Place::new().await;
    let principal = format!("tenant: {TENANT}, client: {CLIENT}");
    let key = std::fs::read_to_string(&place.service.certificate).unwrap();
    let key = key.split("-----BEGIN CERTIFICATE").next().unwrap();
    let key_only = place.file("key.pem", key);
    let stranger = std::fs::read_to_string(&place.service.ca_file).unwrap();
    let stranger = place.file("stranger.pem", &format!("{key}{stranger}"));
    let empty = place.file("empty", "\n");
    let wrong = place.file("wrong", "not-the-secret");
    for (way, why) in [
        (
            format!("from: secret, {principal}, secret: {{ file: {wrong} }}"),
            "AADSTS7000215: Invalid client secret provided",
        ),
        (
            format!("from: certificate, {principal}, certificate: {key_only}"),
            "it holds no certificate in PEM",
        ),
        (
            format!("from: certificate, {principal}, certificate: {stranger}"),
            "none of its certificates is the one of its key",
        ),
        (
            format!("from: certificate, {principal}, certificate: /nowhere.pem"),
            "`/nowhere.pem` cannot be used: No such file",
        ),
        (
            format!("from: federated, {principal}, tokenFile: {empty}"),
            "it is empty",
        ),
    ] {
        let ran = place.plan(&format!("    identity: {{ {way} }}"), &[]).await;
        let one_line = ran.told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(one_line.contains(why), "{why}: {}", ran.told);
        assert!(!ran.told.contains("not-the-secret") && !ran.told.contains("PRIVATE"));
        assert_eq!((ran.code, ran.prod.as_str()), (Some(1), "nobody"));
    }
}

/// The vendor's own command line, signed in at our own Entra ID.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_signed_in_with_the_az_command_line_is_who_we_are() {
    let place = Place::new().await;
    let stop = CancellationToken::new();
    let _stops = stop.clone().drop_guard();
    let any = "127.0.0.1:0".parse().unwrap();
    let clock = std::sync::Arc::new(SystemClock);
    let entra = arm::start(any, Some(any), ArmOptions::default(), clock, stop);
    let entra = entra.await.unwrap();
    let tap = Tap::before_tls(&entra).await.unwrap();
    let az = peers::az();
    let path = format!("{}:/usr/bin:/bin", az.parent().unwrap().display());
    let variables = [
        ("PATH", path),
        ("AZURE_CONFIG_DIR", place.path("az")),
        ("AZURE_CORE_INSTANCE_DISCOVERY", "false".to_owned()),
        ("AZURE_CORE_COLLECT_TELEMETRY", "false".to_owned()),
        ("REQUESTS_CA_BUNDLE", entra.ca_file.display().to_string()),
    ];
    let variables = variables
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    sign_in(&az, &tap.url, &variables).await;
    let ran = place.plan("    identity: { from: cli }", &variables).await;
    let claims = ran
        .prod
        .split('.')
        .nth(1)
        .unwrap_or_else(|| panic!("{}", ran.told));
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["sub"], "verdigris-local");
}

async fn sign_in(az: &Path, entra: &str, variables: &[(&str, &str)]) {
    let register: Vec<&str> = [
        "--endpoint-resource-manager",
        "--endpoint-management",
        "--endpoint-active-directory",
        "--endpoint-active-directory-resource-id",
    ]
    .into_iter()
    .flat_map(|flag| [flag, entra])
    .collect();
    let tenant = "00000000-0000-0000-0000-0000000000aa";
    let login = "login --service-principal --username local --password local --tenant";
    let mut register_all = vec!["cloud", "register", "--name", "local"];
    register_all.extend(register);
    let login_all: Vec<&str> = login.split(' ').chain([tenant]).collect();
    for arguments in [
        register_all,
        vec!["cloud", "set", "--name", "local"],
        login_all,
    ] {
        let mut command = Command::new(az);
        command
            .args(&arguments)
            .env_clear()
            .envs(variables.iter().copied());
        let ended = command.kill_on_drop(true).output().await.unwrap();
        let told = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "az {arguments:?}: {told}");
    }
}
