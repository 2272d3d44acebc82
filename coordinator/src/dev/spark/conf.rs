//! What the server is told in its files: its conf, and the pools of Spark's own scheduler.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use libra_proto::registry::{PoolRecord, SchedulingMode};

use super::{Options, POOLS_FILE};
#[cfg(test)]
use crate::dev::install::Pyspark;
use crate::dev::plugin;

/// Fewer would make statements wait for each other's tasks.
const MIN_CORES: usize = 2;
/// From this much memory on the driver gets 2 GB.
const ROOMY: u64 = 6_000_000_000;

/// The server's whole conf: what is chosen here, then the user's, then what must be as it is.
pub(super) fn conf_of(options: &Options<'_>) -> BTreeMap<String, String> {
    let cores = std::thread::available_parallelism().map_or(MIN_CORES, usize::from);
    let is_roomy = options.memory.is_some_and(|bytes| bytes >= ROOMY);
    let mode = match options.mode {
        SchedulingMode::Fifo => "FIFO",
        SchedulingMode::Fair | SchedulingMode::Unspecified => "FAIR",
    };
    let path = |name: &str| options.folder.join(name).display().to_string();
    let chosen = [
        ("spark.master", format!("local[{}]", cores.max(MIN_CORES))),
        ("spark.app.name", "libra dev".to_owned()),
        (
            "spark.driver.memory",
            if is_roomy { "2g" } else { "1g" }.to_owned(),
        ),
        ("spark.sql.warehouse.dir", path("warehouse")),
        ("spark.local.dir", path("local")),
        ("spark.ui.showConsoleProgress", "false".to_owned()),
        ("spark.scheduler.mode", mode.to_owned()),
        ("spark.scheduler.allocation.file", path(POOLS_FILE)),
    ];
    let fixed = [
        ("spark.driver.host", "127.0.0.1".to_owned()),
        ("spark.driver.bindAddress", "127.0.0.1".to_owned()),
        ("spark.connect.grpc.binding.address", "127.0.0.1".to_owned()),
        ("spark.connect.grpc.binding.port", options.port.to_string()),
        ("spark.ui.port", options.ui_port.to_string()),
    ];
    let own = |(key, value): (&str, String)| (key.to_owned(), value);
    let users = options
        .conf
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()));
    let mut conf: BTreeMap<String, String> = chosen
        .into_iter()
        .map(own)
        .chain(users)
        .chain(fixed.into_iter().map(own))
        .collect();
    if let Some(jar) = options.plugin {
        add(
            &mut conf,
            "spark.driver.extraClassPath",
            &jar.display().to_string(),
            ':',
        );
        add(
            &mut conf,
            "spark.connect.grpc.interceptor.classes",
            plugin::CLASS,
            ',',
        );
    }
    conf
}

/// Adds to a list that the user may have begun.
fn add(conf: &mut BTreeMap<String, String>, key: &str, more: &str, separator: char) {
    let list = conf.entry(key.to_owned()).or_default();
    if !list.is_empty() {
        list.push(separator);
    }
    list.push_str(more);
}

/// A file of Java properties.
pub(super) fn properties(conf: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (key, value) in conf {
        text.push_str(&escaped(key));
        text.push('=');
        text.push_str(&escaped(value));
        text.push('\n');
    }
    text
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' | ' ' | '=' | ':' | '#' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// The pools in Spark's form, so that Spark's own scheduler knows the same ones.
pub(super) fn pools_xml(pools: &[PoolRecord]) -> String {
    let mut xml = "<?xml version=\"1.0\"?>\n<allocations>\n".to_owned();
    for pool in pools {
        let mode = match pool.scheduling_mode() {
            SchedulingMode::Fair => "FAIR",
            SchedulingMode::Fifo | SchedulingMode::Unspecified => "FIFO",
        };
        // Names are plain labels: nothing in them needs escaping.
        let _ = write!(
            xml,
            "  <pool name=\"{}\">\n    <schedulingMode>{mode}</schedulingMode>\n    \
             <weight>{}</weight>\n    <minShare>{}</minShare>\n  </pool>\n",
            pool.name, pool.weight, pool.min_share
        );
    }
    xml.push_str("</allocations>\n");
    xml
}

#[cfg(test)]
pub(super) fn options<'a>(
    folder: &tempfile::TempDir,
    pyspark: &'a Pyspark,
    conf: &'a BTreeMap<String, String>,
) -> Options<'a> {
    Options {
        pyspark,
        plugin: None,
        folder: folder.path().to_owned(),
        port: 15_002,
        ui_port: 4_040,
        memory: None,
        mode: SchedulingMode::Fair,
        pools: &[],
        conf,
    }
}

#[cfg(test)]
pub(super) fn no_pyspark() -> Pyspark {
    Pyspark {
        python: "python3".into(),
        spark_home: "/nowhere".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tempfile::TempDir;

    use super::*;
    use crate::config::{guide_pools, read_allocations};

    #[test]
    fn users_conf_wins_except_where_it_listens() {
        let (folder, pyspark) = (TempDir::new().unwrap(), no_pyspark());
        let conf = BTreeMap::from([
            ("spark.master".to_owned(), "local[7]".to_owned()),
            ("spark.driver.bindAddress".to_owned(), "0.0.0.0".to_owned()),
            ("spark.x".to_owned(), "y".to_owned()),
        ]);
        let all = conf_of(&options(&folder, &pyspark, &conf));
        assert_eq!(all["spark.master"], "local[7]");
        assert_eq!(all["spark.driver.bindAddress"], "127.0.0.1");
        assert_eq!(all["spark.x"], "y");
        assert_eq!(all["spark.driver.memory"], "1g");
        assert_eq!(all["spark.scheduler.mode"], "FAIR");
    }

    #[test]
    fn the_plugin_stands_beside_the_users_own() {
        let (folder, pyspark) = (TempDir::new().unwrap(), no_pyspark());
        let classes = "spark.connect.grpc.interceptor.classes".to_owned();
        let conf = BTreeMap::from([(classes.clone(), "a.B".to_owned())]);
        let mut options = options(&folder, &pyspark, &conf);
        assert!(!conf_of(&options).contains_key("spark.driver.extraClassPath"));
        options.plugin = Some(Path::new("/cache/p.jar"));
        let all = conf_of(&options);
        assert_eq!(all["spark.driver.extraClassPath"], "/cache/p.jar");
        assert_eq!(all[&classes], "a.B,org.libra.spark.PoolInterceptor");
    }

    #[test]
    fn properties_are_escaped() {
        let conf = BTreeMap::from([("spark.a b".to_owned(), "C:\\x = 1\ny".to_owned())]);
        assert_eq!(properties(&conf), "spark.a\\ b=C\\:\\\\x\\ \\=\\ 1\\ny\n");
    }

    #[test]
    fn pools_read_back_as_they_are() {
        assert_eq!(
            read_allocations(&pools_xml(&guide_pools())).unwrap(),
            guide_pools()
        );
    }
}
