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
        network_fault(app, target),
        preview_fault(service, app),
        slots_fault(app, target),
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
    if scale.warm.is_some() && plan.is_flex() {
        let help = "remove `warm`, or write `ready`";
        let message = format!(
            "plan {} keeps no instance warm beside those that work",
            plan.0
        );
        return Some((message, help));
    }
    let keeps = scale.ready.is_some() || scale.warm.is_some();
    (keeps && !plan.is_elastic() && !plan.is_flex()).then(|| {
        let help = "remove `ready` and `warm`, or take a plan `EP1`, `EP2`, `EP3` or `FC1`";
        let message = format!("plan {} keeps no instance ready for one app", plan.0);
        (message, help)
    })
}

fn network_fault(app: &AzureApp, target: &AzureTarget) -> Fault {
    let plan = &target.plan;
    (plan.is_consumption() && app.network.is_some()).then(|| {
        let help = "remove `network`, or take a plan that has one of yours, such as `EP1`";
        (format!("plan {} reaches no subnet", plan.0), help)
    })
}

/// What needs one app that is always blue.
fn slots_fault(app: &AzureApp, target: &AzureTarget) -> Fault {
    let plan = &target.plan;
    if !plan.is_flex() {
        return None;
    }
    if app.name.is_some() {
        let message = format!(
            "plan {} has no slots, so that the service is two apps",
            plan.0
        );
        let help = "remove `name`: an app that is there cannot become one of the two";
        return Some((message, help));
    }
    if app.preview {
        let message = format!("plan {} has no slots, and so no preview of a swap", plan.0);
        return Some((message, "remove `preview`: gates ask the other app"));
    }
    (!app.domains.is_empty()).then(|| {
        let message = format!("on plan {} now one app is blue and now the other", plan.0);
        let help =
            "remove `domains`, and bind the names to what routes to blue, such as API Management";
        (message, help)
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
