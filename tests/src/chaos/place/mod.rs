//! Where the nodes run, and what can be done to them there.
//!
//! As root, with the tools at hand, the program starts itself anew in a network and a mount
//! namespace of its own ([`inside`]); there every node gets a network namespace ([`hosts`]) on a
//! bridge that is tied to nothing outside, and may get a file system on a loop device ([`disks`]).
//! Otherwise all of it is plain processes on the loopback interface, and what cannot be done is
//! said.
//!
//! **Invariant:** namespaces, mounts and rules end with the process: nothing of the machine's own
//! network or file systems is touched.

pub(super) mod disks;
pub(super) mod ground;
pub(super) mod hosts;
pub(super) mod inside;
pub(super) mod tool;

use std::fmt;

/// What kind of place it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Each node in a network namespace of its own.
    Namespaces,
    /// All on the loopback interface; why.
    Loopback(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespaces => f.write_str("a network namespace for each node"),
            Self::Loopback(why) => write!(f, "plain loopback ({why})"),
        }
    }
}

/// Something that a fault needs of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Network namespaces with their rules.
    Namespaces,
    /// Namespaces, or the proxy between nodes on the loopback interface.
    Network,
    /// The queue of the kernel's packet filter.
    PacketQueue,
    /// Traffic shaping.
    Shaping,
    /// File systems on loop devices.
    LoopDevices,
    /// Loop devices that can be cut off.
    PowerCut,
    /// System calls of a running process that fail or take long.
    SystemCalls,
    /// A clock of its own for each process.
    FakeClock,
    /// A stub before the cluster, that can be killed at will.
    Stub,
}

impl Place {
    /// Why something is not to be had here, if it is not. `real`: whether a real Spark is used.
    pub(super) fn lacks(&self, need: Need, real: bool) -> Option<String> {
        let namespaces = || match self {
            Self::Namespaces => None,
            Self::Loopback(why) => Some(format!("needs network namespaces: {why}")),
        };
        match need {
            Need::Network => None,
            Need::Namespaces => namespaces(),
            Need::PacketQueue => namespaces().or_else(|| without("iptables")),
            Need::Shaping => namespaces().or_else(|| without("tc")),
            Need::LoopDevices => namespaces().or_else(|| without("mkfs.ext4")),
            Need::PowerCut => namespaces()
                .or_else(|| without("mkfs.ext4"))
                .or_else(|| without("xfs_io")),
            Need::SystemCalls => without("strace"),
            Need::FakeClock => clock_library()
                .is_none()
                .then(|| "libfaketime is not installed".to_owned()),
            Need::Stub => real.then(|| "not done to a Spark that is not ours".to_owned()),
        }
    }
}

fn without(program: &str) -> Option<String> {
    (!tool::exists(program)).then(|| format!("{program} is not installed"))
}

/// The library that gives a process a clock of its own.
pub(super) fn clock_library() -> Option<String> {
    tool::first_file(&[
        "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
        "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
        "/usr/lib/faketime/libfaketimeMT.so.1",
        "/usr/lib64/faketime/libfaketimeMT.so.1",
    ])
}
