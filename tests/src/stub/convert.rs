//! Between Spark Connect's messages and the engine's calls.

use libra_proto::spark::{
    self, config_request, config_request::operation::OpType, execute_plan_request,
    interrupt_request, plan, relation, release_execute_request,
};
use spark::get_status_response::operation_status::OperationState as WireState;

use super::engine::{
    Caller, ConfPair, ConfRequest, Execute, Interrupt, OperationState, Release, compile,
};

/// Who calls.
pub(super) fn caller(
    user: Option<spark::UserContext>,
    session_id: String,
    observed: Option<String>,
) -> Caller {
    Caller {
        user_id: user.unwrap_or_default().user_id,
        session_id,
        observed,
    }
}

pub(super) fn execute(request: spark::ExecutePlanRequest) -> Execute {
    use execute_plan_request::request_option::RequestOption;
    let reattachable = request.request_options.iter().any(|option| {
        matches!(&option.request_option, Some(RequestOption::ReattachOptions(o)) if o.reattachable)
    });
    let code = request.plan.and_then(code);
    Execute {
        caller: caller(
            request.user_context,
            request.session_id,
            request.client_observed_server_side_session_id,
        ),
        operation_id: request.operation_id,
        statement: code.as_deref().map(compile),
        code: code.unwrap_or_default().into(),
        reattachable,
        tags: request.tags,
    }
}

/// The SQL text of a plan; commands other than SQL are not played.
fn code(plan: spark::Plan) -> Option<String> {
    match plan.op_type? {
        plan::OpType::Root(root) => match root.rel_type? {
            relation::RelType::Sql(sql) => Some(sql.query),
        },
        plan::OpType::Command(command) => match command.command_type? {
            spark::command::CommandType::SqlCommand(command) => Some(command.sql),
        },
    }
}

pub(super) fn interrupt(request: &spark::InterruptRequest) -> Interrupt {
    use interrupt_request::{Interrupt as Named, InterruptType};
    let (tag, id) = match &request.interrupt {
        Some(Named::OperationTag(tag)) => (Some(tag.clone()), None),
        Some(Named::OperationId(id)) => (None, Some(id.clone())),
        None => (None, None),
    };
    match request.interrupt_type() {
        InterruptType::All => Interrupt::All,
        InterruptType::Tag => Interrupt::Tag(tag),
        InterruptType::OperationId => Interrupt::Operation(id),
        InterruptType::Unspecified => Interrupt::Unspecified,
    }
}

pub(super) fn release(release: Option<release_execute_request::Release>) -> Option<Release> {
    use release_execute_request::Release as Wire;
    match release? {
        Wire::ReleaseAll(_) => Some(Release::All),
        Wire::ReleaseUntil(until) => Some(Release::Until(until.response_id)),
    }
}

pub(super) fn conf(operation: Option<config_request::Operation>) -> Option<ConfRequest> {
    Some(match operation?.op_type? {
        OpType::Set(set) => ConfRequest::Set(pairs(set.pairs)),
        OpType::Get(get) => ConfRequest::Get(get.keys),
        OpType::GetWithDefault(get) => ConfRequest::GetWithDefault(pairs(get.pairs)),
        OpType::GetOption(get) => ConfRequest::GetOption(get.keys),
        OpType::GetAll(get) => ConfRequest::GetAll(get.prefix),
        OpType::Unset(unset) => ConfRequest::Unset(unset.keys),
        OpType::IsModifiable(asked) => ConfRequest::IsModifiable(asked.keys),
    })
}

fn pairs(pairs: Vec<spark::KeyValue>) -> Vec<ConfPair> {
    pairs
        .into_iter()
        .map(|pair| ConfPair {
            key: pair.key,
            value: pair.value,
        })
        .collect()
}

pub(super) fn key_values(pairs: Vec<ConfPair>) -> Vec<spark::KeyValue> {
    pairs
        .into_iter()
        .map(|pair| spark::KeyValue {
            key: pair.key,
            value: pair.value,
        })
        .collect()
}

pub(super) fn state(state: OperationState) -> WireState {
    match state {
        OperationState::Unknown => WireState::Unknown,
        OperationState::Running => WireState::Running,
        OperationState::Terminating => WireState::Terminating,
        OperationState::Succeeded => WireState::Succeeded,
        OperationState::Failed => WireState::Failed,
        OperationState::Cancelled => WireState::Cancelled,
    }
}
