//! Our subset of Spark Connect's protocol against the descriptors of an installed pyspark: a name,
//! a number or a type that differs would be read as something else, or not at all, without an
//! error.
//!
//! `LIBRA_TEST_PYTHON` names a Python with protobuf; `LIBRA_TEST_PYTHONPATH` the folder that
//! pyspark is installed in, if that Python does not find it by itself.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use prost::Message as _;
use prost_types::field_descriptor_proto::Type;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    MethodDescriptorProto,
};

/// Prints the descriptors of the package as a `FileDescriptorSet`. The parents of the package are
/// not imported: they would want pandas, pyarrow and more.
const PRINT_DESCRIPTORS: &str = r#"
import importlib, importlib.util, pathlib, sys, types
from google.protobuf import descriptor_pb2
root = pathlib.Path(importlib.util.find_spec("pyspark").submodule_search_locations[0])
for name in ("pyspark", "pyspark.sql", "pyspark.sql.connect", "pyspark.sql.connect.proto"):
    module = types.ModuleType(name)
    module.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
    sys.modules[name] = module
found, files = descriptor_pb2.FileDescriptorSet(), set()
def add(file):
    if file.name not in files:
        files.add(file.name)
        for other in file.dependencies:
            add(other)
        file.CopyToProto(found.file.add())
add(importlib.import_module("pyspark.sql.connect.proto.base_pb2").DESCRIPTOR)
sys.stdout.buffer.write(found.SerializeToString())
"#;

const PROTO_DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto/proto");

fn ours() -> Result<FileDescriptorSet> {
    Ok(protox::compile(["spark/connect.proto"], [PROTO_DIR])?)
}

fn theirs() -> Result<FileDescriptorSet> {
    let python = std::env::var("LIBRA_TEST_PYTHON")
        .context("LIBRA_TEST_PYTHON is not set: it names a Python with protobuf and pyspark")?;
    let mut command = Command::new(python);
    command.args(["-c", PRINT_DESCRIPTORS]);
    if let Some(path) = std::env::var_os("LIBRA_TEST_PYTHONPATH") {
        command.env("PYTHONPATH", path);
    }
    let output = command
        .output()
        .context("LIBRA_TEST_PYTHON cannot be run")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "no descriptors: {said}");
    Ok(FileDescriptorSet::decode(output.stdout.as_slice())?)
}

/// Everything that is named in a set of files, by its full name, as comparable facts.
#[derive(Default)]
struct Facts(BTreeMap<String, String>);

impl Facts {
    fn of(files: &FileDescriptorSet) -> Self {
        let mut facts = Self::default();
        for file in files
            .file
            .iter()
            .filter(|file| file.package() == "spark.connect")
        {
            let package = file.package();
            file.message_type
                .iter()
                .for_each(|message| facts.message(package, message));
            file.enum_type
                .iter()
                .for_each(|values| facts.values(package, values));
            for service in &file.service {
                let name = format!("{package}.{}", service.name());
                service
                    .method
                    .iter()
                    .for_each(|method| facts.method(&name, method));
            }
        }
        facts
    }

    fn message(&mut self, parent: &str, message: &DescriptorProto) {
        let name = format!("{parent}.{}", message.name());
        let is_map = message
            .options
            .as_ref()
            .is_some_and(|options| options.map_entry());
        self.0
            .insert(name.clone(), format!("message, map entry: {is_map}"));
        for field in &message.field {
            let oneof = field
                .oneof_index
                .and_then(|index| usize::try_from(index).ok());
            let oneof = oneof
                .and_then(|index| message.oneof_decl.get(index))
                .map(|of| of.name());
            let fact = format!(
                "field {} {:?} {:?} {} oneof {oneof:?} optional {}",
                field.number(),
                field.label(),
                field.r#type(),
                field.type_name(),
                field.proto3_optional(),
            );
            self.0.insert(format!("{name}.{}", field.name()), fact);
        }
        message
            .nested_type
            .iter()
            .for_each(|nested| self.message(&name, nested));
        message
            .enum_type
            .iter()
            .for_each(|values| self.values(&name, values));
    }

    fn values(&mut self, parent: &str, values: &EnumDescriptorProto) {
        let name = format!("{parent}.{}", values.name());
        for value in &values.value {
            self.0.insert(
                format!("{name}.{}", value.name()),
                format!("value {}", value.number()),
            );
        }
        self.0.insert(name, "enum".to_owned());
    }

    fn method(&mut self, service: &str, method: &MethodDescriptorProto) {
        let fact = format!(
            "rpc {} stream {} -> {} stream {}",
            method.input_type(),
            method.client_streaming(),
            method.output_type(),
            method.server_streaming(),
        );
        self.0.insert(format!("{service}.{}", method.name()), fact);
    }
}

/// Where `ours` says something else than `theirs`; what only they have is no difference.
fn differences(ours: &FileDescriptorSet, theirs: &FileDescriptorSet) -> Vec<String> {
    let (ours, theirs) = (Facts::of(ours), Facts::of(theirs));
    let differs = |(name, fact): (&String, &String)| match theirs.0.get(name) {
        Some(theirs) if theirs == fact => None,
        Some(theirs) => Some(format!("{name}: ours {fact}; theirs {theirs}")),
        None => Some(format!("{name}: theirs has none")),
    };
    ours.0.iter().filter_map(differs).collect()
}

#[test]
fn real_our_subset_of_the_protocol_is_sparks_own() -> Result<()> {
    let (ours, theirs) = (ours()?, theirs()?);
    assert!(Facts::of(&ours).0.len() > 250, "ours was not read");
    let different = differences(&ours, &theirs);
    assert!(different.is_empty(), "{}", different.join("\n"));
    Ok(())
}

/// Spoils our own file.
type Slip = fn(&mut FileDescriptorProto);

/// The comparison itself: each kind of slip is found.
#[test]
fn slips_are_found() -> Result<()> {
    let right = ours()?;
    let slips: [(&str, Slip); 6] = [
        ("spark.connect.UserContext.user_id", |file| {
            message(file, "UserContext").field[0].number = Some(9)
        }),
        ("spark.connect.UserContext.user_id", |file| {
            message(file, "UserContext").field[0].set_type(Type::Bytes)
        }),
        ("spark.connect.UserContext.uid", |file| {
            message(file, "UserContext").field[0].name = Some("uid".to_owned())
        }),
        ("spark.connect.Plan.root", |file| {
            message(file, "Plan").oneof_decl[0].name = Some("other".to_owned())
        }),
        (
            "spark.connect.InterruptRequest.InterruptType.INTERRUPT_TYPE_TAG",
            |file| {
                message(file, "InterruptRequest").enum_type[0].value[2].number = Some(7);
            },
        ),
        ("spark.connect.SparkConnectService.ExecutePlan", |file| {
            file.service[0].method[0].server_streaming = None
        }),
    ];
    for (name, slip) in slips {
        let mut wrong = right.clone();
        let files = wrong.file.iter_mut();
        files
            .filter(|file| file.package() == "spark.connect")
            .for_each(slip);
        let found = differences(&wrong, &right);
        assert!(
            found
                .iter()
                .any(|found| found.starts_with(&format!("{name}:"))),
            "{name}: {found:?}"
        );
    }
    assert!(differences(&right, &right).is_empty());
    Ok(())
}

fn message<'a>(file: &'a mut FileDescriptorProto, name: &str) -> &'a mut DescriptorProto {
    let mut messages = file.message_type.iter_mut();
    #[expect(clippy::expect_used, reason = "a message of our own file")]
    messages
        .find(|message| message.name() == name)
        .expect("a message of our own file")
}
