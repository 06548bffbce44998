//! An organization as a file that can be reviewed and kept under version control, and how it differs from what is.

use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The shape of files that this build writes and reads.
const VERSION: u32 = 1;

/// What stands in the file. What is absent is nothing, not "as it is".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrganizationFile {
    version: u32,
    pub(super) organization: Named,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) projects: BTreeMap<String, Described>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) display_name: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Described {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) display_name: Option<String>,
}

/// One change that makes what is more like the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub(super) enum Step {
    /// The organization is called something else.
    DescribeOrganization { before: Option<String>, after: Option<String> },
    /// A project begins.
    CreateProject { project: String, display_name: Option<String> },
    /// A project is called something else.
    DescribeProject { project: String, before: Option<String>, after: Option<String> },
    /// A project ends with everything in it.
    DeleteProject { project: String },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said =
            |text: &Option<String>| text.as_ref().map_or("none".to_owned(), |text| format!("`{text}`"));
        match self {
            Self::DescribeOrganization { before, after } => {
                write!(f, "~ organization: display name {} instead of {}", said(after), said(before))
            }
            Self::CreateProject { project, display_name: None } => write!(f, "+ project {project}"),
            Self::CreateProject { project, display_name } => {
                write!(f, "+ project {project}: display name {}", said(display_name))
            }
            Self::DescribeProject { project, before, after } => {
                write!(f, "~ project {project}: display name {} instead of {}", said(after), said(before))
            }
            Self::DeleteProject { project } => write!(f, "- project {project}, with its tokens"),
        }
    }
}

impl OrganizationFile {
    pub(super) fn new(organization: Named, projects: BTreeMap<String, Described>) -> Self {
        Self { version: VERSION, organization, projects }
    }

    /// Reads a file.
    pub(super) fn read(text: &str, name: &str) -> Result<Self, Failure> {
        let file: Self = toml::from_str(text).map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
        if file.version == VERSION {
            return Ok(file);
        }
        Err(Failure::Usage(format!("{name}: version: `{}` is not {VERSION}", file.version)))
    }

    /// As it is written.
    pub(super) fn text(&self) -> String {
        toml::to_string_pretty(self).expect("names and texts can be written as TOML")
    }

    /// The steps from what is to this, and the projects that it does not name: they stay, unless they are to be
    /// deleted.
    pub(super) fn steps_from(&self, is: &Self, delete_others: bool) -> (Vec<Step>, Vec<String>) {
        let mut steps = Vec::new();
        if is.organization.display_name != self.organization.display_name {
            let (before, after) = (&is.organization.display_name, &self.organization.display_name);
            steps.push(Step::DescribeOrganization { before: before.clone(), after: after.clone() });
        }
        for (project, wanted) in &self.projects {
            let (project, after) = (project.clone(), wanted.display_name.clone());
            match is.projects.get(&project) {
                None => steps.push(Step::CreateProject { project, display_name: after }),
                Some(found) if found.display_name != after => {
                    let before = found.display_name.clone();
                    steps.push(Step::DescribeProject { project, before, after });
                }
                Some(_) => {}
            }
        }
        let others = is.projects.keys().filter(|project| !self.projects.contains_key(*project)).cloned();
        if delete_others {
            steps.extend(others.map(|project| Step::DeleteProject { project }));
            return (steps, Vec::new());
        }
        (steps, others.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> OrganizationFile {
        OrganizationFile::read(text, "acme.toml").unwrap()
    }

    const ACME: &str = "version = 1\n\n[organization]\nname = \"acme\"\ndisplay_name = \"Acme\"\n\n\
                        [projects.api]\n\n[projects.web]\ndisplay_name = \"The \\\"web\\\"\"\n";

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let read = file(ACME);
        assert_eq!(file(&read.text()), read);
        assert_eq!(read.projects["web"].display_name.as_deref(), Some("The \"web\""));
        insta::assert_snapshot!(read.text(), @r#"
        version = 1

        [organization]
        name = "acme"
        display_name = "Acme"

        [projects.api]

        [projects.web]
        display_name = 'The "web"'
        "#);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for bad in [
            "",
            "version = 1",
            &ACME.replace("version = 1", "version = 2"),
            &ACME.replace("[projects.api]", "[projects.api]\ncolour = \"red\""),
            &ACME.replace("[projects.api]", "[roles.api]"),
            &ACME.replace("\"acme\"", "7"),
        ] {
            assert!(matches!(OrganizationFile::read(bad, "f"), Err(Failure::Usage(_))), "{bad}");
        }
    }

    #[test]
    fn steps_lead_from_what_is_to_the_file() {
        let wanted = file(ACME);
        assert_eq!(wanted.steps_from(&wanted, true), (Vec::new(), Vec::new()));
        let is = file(
            "version = 1\n[organization]\nname = \"acme\"\n[projects.old]\n[projects.web]\ndisplay_name = \"W\"",
        );
        let (steps, kept) = wanted.steps_from(&is, false);
        let said: Vec<String> = steps.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "~ organization: display name `Acme` instead of none",
                "+ project api",
                "~ project web: display name `The \"web\"` instead of `W`",
            ]
        );
        assert_eq!(kept, ["old"]);
        let (steps, kept) = wanted.steps_from(&is, true);
        assert_eq!(steps.last(), Some(&Step::DeleteProject { project: "old".to_owned() }));
        assert!(kept.is_empty());
    }
}
