//! Gates that would ask functions which answer signed requests only: ours are not signed, so that no rollout would pass them.

use super::limits::{Limit, Subject};
use crate::{
    manifest::{
        aws::UrlAuth,
        spec::{Environment, Function, Gate, GateKind, Service},
    },
    name::FunctionName,
};

/// One for each function that some gate asks in vain.
pub(super) fn unsigned(service: &Service, environment: &Environment) -> Vec<Limit> {
    if environment.aws.is_none() {
        return Vec::new();
    }
    let signed = service.functions.iter().filter(|(_, it)| is_signed(it));
    let told = signed.filter_map(|(name, _)| {
        let gates = &service.rollout.gates;
        let gate = gates.iter().find(|gate| asks(gate, service, name))?;
        Some(Limit {
            of: Subject::Function(name.clone()),
            is_error: true,
            message: format!(
                "gate `{}` asks {name}, which answers signed requests only on aws (`aws.url.auth: iam`), and gates do not sign",
                gate.name
            ),
            help: "ask another function there, measure it by a `command` or `metric` gate, or leave `auth` away and check callers in the code".to_owned(),
        })
    });
    told.collect()
}

fn is_signed(function: &Function) -> bool {
    let url = function.aws.as_deref().and_then(|aws| aws.url.as_ref());
    function.http.is_some() && url.is_some_and(|url| url.auth == UrlAuth::Iam)
}

/// What a file of requests asks is not known here: of one whose functions all want signatures nothing can be asked.
fn asks(gate: &Gate, service: &Service, function: &FunctionName) -> bool {
    let is_asked = |method: &str, path: &str| answering(service, method, path) == Some(function);
    match &gate.kind {
        GateKind::Http(http) => {
            let mut steps = std::iter::once(&http.first).chain(&http.then);
            steps.any(|step| is_asked(&step.method, &step.path))
        }
        GateKind::Load(load) => {
            let mut requests = load.requests.iter();
            requests.any(|request| is_asked(&request.method, &request.path))
        }
        GateKind::Parity(_) => {
            let mut http = service.functions.values().filter(|it| it.http.is_some());
            http.all(|it| is_signed(it))
        }
        GateKind::Command(_) | GateKind::Approval(_) | GateKind::Metric(_) => false,
    }
}

fn answering<'a>(service: &'a Service, method: &str, path: &str) -> Option<&'a FunctionName> {
    let path = path.split('?').next().unwrap_or_default();
    let answers = |function: &Function| {
        let route = function.http.as_ref();
        route.is_some_and(|route| route.answers(method, path))
    };
    let mut functions = service.functions.iter();
    let found = functions.find(|(_, function)| answers(function));
    found.map(|(name, _)| name)
}
