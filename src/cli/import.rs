//! `verdigris import`: what there is elsewhere becomes manifests.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use clap::Args;
use url::Url;

use super::{
    exit::{CliError, Exit, Result},
    follow,
    output::Output,
    screen::{Screen, clean_lines},
    validate::root_of,
};
use crate::{
    daemon::{
        clouds::Clouds,
        config::{AwsAccess, AzureAccess},
    },
    import::{self, Around, FILE_MAX, Imported},
    manifest::spec::{AwsTarget, AzurePlan, AzureTarget, Environment, Role},
    name::{CloudName, EnvironmentName},
};

/// Turns a serverless.yml, or what a cloud holds, into manifests, and tells what became of each part
#[derive(Args, Debug)]
#[command(after_help = "\
Manifests go to standard output and the report to standard error; with --to, manifests go to that file and the report to standard \
output. AWS and Azure dialects of Serverless 3 are read, and what version 4 keeps. A file is read without asking any cloud; with --aws \
or --azure that cloud is asked, as whom its own tools would ask, and nothing in it is changed.")]
pub(super) struct Import {
    /// A serverless.yml
    #[arg(value_name = "FILE", required_unless_present_any = ["aws", "azure"])]
    file: Option<PathBuf>,
    /// Instead: the Lambda functions of the account in this region, as the vendor's own tools would find the account
    #[arg(long, value_name = "REGION", conflicts_with_all = ["file", "azure"])]
    aws: Option<String>,
    /// Instead: the Function Apps of a resource group
    #[arg(long, value_name = "SUBSCRIPTION/GROUP", conflicts_with = "file")]
    azure: Option<String>,
    /// Where that cloud is, instead of the cloud itself: `verdigris local` prints it
    #[arg(long, value_name = "URL", conflicts_with = "file")]
    endpoint: Option<Url>,
    /// A stage that becomes an environment; those that the file names where unsaid
    #[arg(long = "stage", value_name = "NAME")]
    stages: Vec<String>,
    /// A new file for the manifests
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// `json` for programs
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

impl Import {
    pub(super) async fn run(&self, screen: &Screen) -> Result<Exit> {
        let Self {
            file,
            aws: _,
            azure: _,
            endpoint: _,
            stages,
            to,
            output,
        } = self;
        let imported = match file {
            Some(file) => of_file(file, stages)?,
            // The clients of both clouds are large.
            None => Box::pin(self.of_cloud()).await?,
        };
        if let Some(to) = to {
            write_new(to, &imported.manifests)?;
        }
        tell(screen, *output, &imported, to.is_some())?;
        Ok(Exit::Done)
    }

    async fn of_cloud(&self) -> Result<Imported> {
        let (place, environment, cloud) = self.place()?;
        let mut access = (AwsAccess::default(), AzureAccess::default());
        match cloud {
            CloudName::Aws => access.0.endpoint = self.endpoint.clone(),
            CloudName::Azure => access.1.endpoint = self.endpoint.clone(),
        }
        let clouds = Clouds::new(access.0, access.1, follow::azure_identity()?);
        let target = clouds.target(&environment, cloud).await;
        let target = target.map_err(|failure| CliError::wrong(failure.message))?;
        let found = match target.operate() {
            Some(operate) => operate.found().await,
            None => Ok(Vec::new()),
        };
        let found = found.map_err(|error| CliError::of(&error))?;
        Ok(import::clouds::clouds(cloud, &place, &found))
    }

    /// An environment for looking only: nothing is ever made in it.
    fn place(&self) -> Result<(String, Environment, CloudName)> {
        let name = EnvironmentName::new("import").map_err(|error| CliError::of(&error))?;
        let mut environment = Environment {
            name,
            aws: None,
            azure: None,
            windows: Vec::new(),
            follows: None,
        };
        match (&self.aws, &self.azure) {
            (Some(region), _) => {
                environment.aws = Some(AwsTarget {
                    region: region.clone(),
                    role: Role::Given(String::new()),
                    assume: None,
                });
                Ok((region.clone(), environment, CloudName::Aws))
            }
            (None, azure) => {
                let azure = azure.as_deref().unwrap_or_default();
                let Some((subscription, group)) = azure.split_once('/') else {
                    return Err(CliError::wrong(format!("`{azure}` is no place"))
                        .help("write it like SUBSCRIPTION-ID/resource-group"));
                };
                environment.azure = Some(AzureTarget {
                    subscription: subscription.to_owned(),
                    resource_group: group.to_owned(),
                    location: String::new(),
                    plan: AzurePlan(String::new()),
                    prefix: "import".to_owned(),
                    shared: crate::manifest::azure::AzureShared::default(),
                });
                Ok((azure.to_owned(), environment, CloudName::Azure))
            }
        }
    }
}

fn of_file(file: &Path, stages: &[String]) -> Result<Imported> {
    let text = read(file).map_err(|error| {
        CliError::wrong(format!("failed to read `{}`: {error}", file.display()))
    })?;
    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
    let beside = |path: &str| read_beside(&folder, path);
    let around = Around {
        file: &file.file_name().unwrap_or_default().to_string_lossy(),
        folder: &folder_in_repository(file),
        stages,
        files: &beside,
    };
    import::serverless(&text, &around).map_err(|error| {
        let error = CliError::of(&error);
        CliError::wrong(format!("`{}` {error}", file.display()))
    })
}

fn tell(screen: &Screen, output: Output, imported: &Imported, is_written: bool) -> Result<()> {
    let Imported { manifests, report } = imported;
    let json = serde_json::json!({ "manifests": manifests, "report": report });
    match output {
        Output::Json => screen.json(&json)?,
        Output::Yaml => screen.yaml(&json)?,
        Output::Name | Output::Table | Output::Wide if is_written => {
            screen.text(&clean_lines(&report.text()));
        }
        Output::Name | Output::Table | Output::Wide => {
            screen.text(&clean_lines(manifests));
            for line in report.text().lines() {
                screen.remark(line);
            }
        }
    }
    Ok(())
}

/// No more than decides whether the file is too large.
fn read(path: &Path) -> io::Result<String> {
    let file = fs::File::open(path)?;
    let mut text = String::new();
    io::Read::read_to_string(&mut io::Read::take(file, FILE_MAX as u64 + 1), &mut text)?;
    Ok(text)
}

/// A file that the imported one names; only from its own folder and those below.
fn read_beside(folder: &Path, path: &str) -> Option<String> {
    let is_below = Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let whole = folder.join(path);
    let is_file = is_below && fs::symlink_metadata(&whole).is_ok_and(|kind| kind.is_file());
    is_file.then(|| read(&whole).ok()).flatten()
}

/// The folder of the working copy that a file lies in; empty for its root, and where there is none.
fn folder_in_repository(file: &Path) -> String {
    let root = root_of(file);
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let folder = absolute
        .parent()
        .and_then(|folder| folder.strip_prefix(&root).ok());
    folder
        .map(|folder| folder.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn write_new(to: &Path, text: &str) -> Result<()> {
    let failed = |error: io::Error| {
        CliError::wrong(format!("failed to write `{}`: {error}", to.display()))
            .help("name a file that is not there yet")
    };
    let mut file = fs::File::create_new(to).map_err(failed)?;
    io::Write::write_all(&mut file, text.as_bytes()).map_err(failed)
}
