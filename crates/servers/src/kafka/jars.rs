//! The jars of a Kafka broker, which `make setup` copies into a cache folder, and the Java that
//! runs them.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// The one place that names the version, read by Maven as well.
const POM: &str = include_str!("../../kafka/pom.xml");

/// The folder that holds the jars of this version.
pub fn folder() -> Result<PathBuf> {
    let folder = cache_folder()?.join(format!("kafka-{}", version()?));
    if !folder.join("complete").is_file() {
        bail!(
            "Kafka's jars are not in {}: run `make setup`, which gets them with Maven",
            folder.display()
        );
    }
    Ok(folder)
}

/// `java` of JAVA_HOME, else of the PATH.
pub fn java() -> PathBuf {
    let home = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
    home.filter(|java| java.is_file()).unwrap_or_else(|| "java".into())
}

pub fn version() -> Result<&'static str> {
    let rest = POM.split_once("<kafka.version>").map(|(_, rest)| rest);
    let version =
        rest.and_then(|rest| rest.split_once("</kafka.version>")).map(|(version, _)| version);
    version.context("kafka/pom.xml names no kafka.version")
}

/// Where `make setup` keeps what it fetches: `DUTO_CACHE`, else `~/.cache/duto`; scripts/setup has
/// the same rule.
pub fn cache_folder() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("DUTO_CACHE").filter(|folder| !folder.is_empty()) {
        return Ok(folder.into());
    }
    let home = std::env::var_os("HOME")
        .context("neither DUTO_CACHE nor HOME is set: where is what `make setup` fetched?")?;
    Ok(PathBuf::from(home).join(".cache/duto"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_is_read_from_the_pom() {
        let version = super::version().unwrap();
        assert!(version.starts_with("4.") && version.split('.').count() == 3, "{version}");
    }
}
