//! What an app asks for and its plan or its environment does not have.

use super::super::{
    super::{
        azure::AzureApp,
        spec::{AzureTarget, Service},
    },
    limits::{Limit, Subject},
};

/// What is wrong with a service's `azure` in one environment.
pub(in crate::manifest::check) fn app_limits(
    service: &Service,
    target: &AzureTarget,
) -> Vec<Limit> {
    let Some(app) = service.azure.as_deref() else {
        return Vec::new();
    };
    let faults = [
        scale_fault(app, target),
        preview_fault(service, app),
        api_fault(service, app, target),
    ];
    let told = |(message, help): (String, &str)| Limit {
        of: Subject::App,
        is_error: true,
        message,
        help: help.to_owned(),
    };
    faults.into_iter().flatten().map(told).collect()
}

type Fault = Option<(String, &'static str)>;

fn scale_fault(app: &AzureApp, target: &AzureTarget) -> Fault {
    let scale = app.scale.as_ref()?;
    let plan = &target.plan;
    let keeps = scale.ready.is_some() || scale.warm.is_some();
    if keeps && !plan.is_elastic() {
        let help = "remove `ready` and `warm`, or take a plan `EP1`, `EP2` or `EP3`";
        let message = format!("plan {} keeps no instance ready for one app", plan.0);
        return Some((message, help));
    }
    (plan.is_consumption() && app.network.is_some()).then(|| {
        let help = "take a plan that has a network of yours, such as `EP1`";
        (format!("plan {} reaches no subnet", plan.0), help)
    })
}

/// While a swap is previewed, green has blue's switches too, and would take blue's messages.
fn preview_fault(service: &Service, app: &AzureApp) -> Fault {
    if !app.preview {
        return None;
    }
    let mut functions = service.functions.iter();
    let (name, _) = functions.find(|(_, it)| it.queue.is_some() || it.schedule.is_some())?;
    let message = format!(
        "a previewed swap gives green the switches of blue, so that `{name}` would run on both"
    );
    Some((
        message,
        "remove `preview`, or put queues and schedules into a service of their own",
    ))
}

fn api_fault(service: &Service, app: &AzureApp, target: &AzureTarget) -> Fault {
    app.api.as_ref()?;
    if target.shared.api_management.is_none() {
        let help =
            "add `apiManagement: /subscriptions/…` to the environment's `azure`, or remove `api`";
        return Some(("the environment names no API Management".to_owned(), help));
    }
    let has_http = service.functions.values().any(|it| it.http.is_some());
    let help = "add `http` to a function, or remove `api`";
    (!has_http).then(|| {
        (
            "an API without operations: no function answers HTTP".to_owned(),
            help,
        )
    })
}
