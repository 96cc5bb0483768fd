//! Which servers are held to the contract, what those of others get wrong, and what a cloud does not have.

use std::fmt;

use super::cases;

/// Something that answers as a cloud does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Server {
    /// In this process.
    Fake,
    /// The same, as a cloud that shares no requests.
    FakeOfSlots,
    LocalLambda,
    LocalAzure,
    /// The same, on machines of one's own.
    LocalDedicated,
    /// The same, on a plan without slots.
    LocalFlex,
    /// The same, on a plan that runs packages from an address.
    LocalConsumption,
    Moto,
    MiniStack,
    LocalStack,
    /// A person's account, when a person asks for it: `real_clouds`.
    Aws,
    Azure,
}

/// Those of every run, in the order of the table's columns.
const ALL: [Server; 9] = [
    Server::Fake,
    Server::LocalLambda,
    Server::LocalAzure,
    Server::LocalDedicated,
    Server::LocalFlex,
    Server::LocalConsumption,
    Server::Moto,
    Server::MiniStack,
    Server::LocalStack,
];

/// A case that a server cannot pass: one of others, because it does not do what the real cloud does; and clouds that share no requests.
struct Exception {
    servers: &'static [Server],
    cases: &'static [&'static str],
    why: &'static str,
}

const EXCEPTIONS: [Exception; 3] = [
    Exception {
        servers: &[
            Server::FakeOfSlots,
            Server::LocalAzure,
            Server::LocalDedicated,
            Server::LocalFlex,
            Server::LocalConsumption,
            Server::Azure,
        ],
        cases: &[
            "a_promotion_ends_a_share",
            "a_share_of_what_is_not_staged_is_refused",
        ],
        why: "slots share no requests: every share is refused, as the case before these holds",
    },
    Exception {
        servers: &[Server::LocalStack],
        cases: &[
            "a_release_takes_a_share_of_blue_and_gives_it_back",
            "a_promotion_ends_a_share",
        ],
        why: "`UpdateAlias` with weights answers 500",
    },
    Exception {
        servers: &[Server::LocalStack],
        cases: &["a_lost_function_is_seen_and_repaired"],
        why: "`UpdateEventSourceMapping` replaces what polls the queue, and what is replaced leaves the mapping `Disabled` when it ends",
    },
];

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fake => "fake",
            Self::FakeOfSlots => "fake, with slots",
            Self::LocalLambda => "our Lambda",
            Self::LocalAzure => "our Azure",
            Self::LocalDedicated => "our Azure, Dedicated",
            Self::LocalFlex => "our Azure, Flex",
            Self::LocalConsumption => "our Azure, Consumption",
            Self::Moto => "moto",
            Self::MiniStack => "MiniStack",
            Self::LocalStack => "LocalStack",
            Self::Aws => "AWS",
            Self::Azure => "Azure",
        })
    }
}

impl Server {
    /// Why a case does not run here.
    pub(super) fn gets_wrong(self, case: &str) -> Option<&'static str> {
        let mut all = EXCEPTIONS.iter();
        let found = all.find(|it| it.servers.contains(&self) && it.cases.contains(&case));
        found.map(|it| it.why)
    }
}

/// One row for each case, and a note for each reason.
fn table() -> String {
    let mut whys: Vec<&str> = Vec::new();
    let mut drawn = format!("| Case | {} |\n", ALL.map(|it| it.to_string()).join(" | "));
    drawn += &format!("|---|{}\n", "---|".repeat(ALL.len()));
    for case in cases::all() {
        let mut cell = |server: Server| match server.gets_wrong(case.name) {
            None => "yes".to_owned(),
            Some(why) => {
                let known = whys.iter().position(|it| *it == why);
                let at = known.unwrap_or_else(|| {
                    whys.push(why);
                    whys.len() - 1
                });
                format!("no ({})", at + 1)
            }
        };
        let cells = ALL.map(&mut cell).join(" | ");
        drawn += &format!("| {} | {cells} |\n", case.name.replace('_', " "));
    }
    drawn.push('\n');
    for (at, why) in whys.iter().enumerate() {
        drawn += &format!("({}) {why}.\n", at + 1);
    }
    drawn
}

#[test]
fn the_table_of_cases_and_servers_is_told_to_people() {
    let told = std::fs::read_to_string("CONTRIBUTING.md").unwrap();
    let table = table();
    assert!(told.contains(&table), "CONTRIBUTING.md should say\n{table}");
}

#[test]
fn an_exception_names_a_case() {
    for case in EXCEPTIONS.iter().flat_map(|exception| exception.cases) {
        let mut known = cases::all().into_iter();
        assert!(known.any(|it| it.name == *case), "{case}");
    }
}
