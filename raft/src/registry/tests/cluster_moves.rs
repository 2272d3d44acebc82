//! The random commands about nodes, moves and copies. Four nodes; they come up more often than they
//! fall.

use libra_proto::registry::command::Kind;
use libra_proto::registry::*;
use libra_proto::types::NodeId;

use super::bench::*;
use super::moves::Move;
use super::nodes_bench::*;
use crate::registry::Registry;
use crate::registry::state::TEST_LEVEL;

pub(super) fn kind(step: &Move, registry: &Registry) -> Kind {
    match step.what {
        47..=51 => registers(step),
        52 => Kind::NodeDown(NodeDown {
            node_id: id(step),
            boot_id: boot(step, registry),
            unreachable: unreachable(step),
        }),
        53 => Kind::DrainNode(DrainNode {
            node_id: id(step),
            boot_id: if step.pick.is_multiple_of(2) {
                String::new()
            } else {
                boot(step, registry)
            },
            draining: step.luck < 6,
            unreachable: unreachable(step),
        }),
        54 if step.luck < 6 => remove(id(step)),
        54 => raise(u32::from(step.pick) % (TEST_LEVEL + 2)),
        55..=58 => move_to(
            step.session(),
            step.epoch(registry),
            [0, 1, 2, 3][usize::from(step.pick % 4)],
        ),
        59 | 60 => replicas(step, registry),
        _ => copies(step, registry),
    }
}

fn id(step: &Move) -> u64 {
    1 + u64::from(step.who)
}

fn registers(step: &Move) -> Kind {
    let nobody = step.luck == 11;
    Kind::RegisterNode(RegisterNode {
        node: Some(NodeRecord {
            feature_level: u32::from(step.luck % 3),
            ..node(
                if nobody { 0 } else { id(step) },
                &format!("boot-{}", step.pick % 3),
            )
        }),
    })
}

fn boot(step: &Move, registry: &Registry) -> String {
    let known = registry.node(NodeId(id(step))).filter(|_| step.is_right());
    known.map_or("boot-z".to_owned(), |node| node.boot_id.clone())
}

fn unreachable(step: &Move) -> Vec<Unreachable> {
    let pair = |n: u8| Unreachable {
        node_id: 1 + u64::from((step.pick + n) % 4),
        endpoint: format!("sc://{}", n % 2),
    };
    (0..step.pick % 5).map(pair).collect()
}

/// The owner and somebody else, for a job of whatever state.
fn replicas(step: &Move, registry: &Registry) -> Kind {
    let job = step.job(registry);
    let session = registry
        .statement(job)
        .and_then(|statement| registry.session(&sid(&statement.session_id)));
    let (owner, epoch) = session.map_or((1, 1), |session| (session.owner_node, session.epoch));
    let epoch = if step.is_right() { epoch } else { epoch + 1 };
    put_replicas(job.0, epoch, &[owner, id(step)])
}

/// Copies of the oldest results, whose hash is their job's number.
fn copies(step: &Move, registry: &Registry) -> Kind {
    let held = (1..=6).flat_map(|node| registry.held_by(NodeId(node)));
    let job = held.map(|statement| statement.job).min().unwrap_or(1);
    let hash = if step.is_right() { job } else { job + 1 };
    put_holders(job, hash, &[id(step), 5 + u64::from(step.pick % 2)])
}
