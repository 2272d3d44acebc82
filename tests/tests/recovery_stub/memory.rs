//! A coordinator killed after its statement had reached Spark, and a Spark that no longer has it
//! when the coordinator is back: each by what that Spark still remembers.

use std::time::Duration;

use anyhow::Result;
use libra_tests::harness::{State, until};
use libra_tests::stub::engine::{Outcome, Profile, Settings};
use libra_tests::stub::faults::{Fault, Lose, Method};
use libra_tests::stub::net::Mode;

use super::{
    FAILPOINTS, SOON, apart, class, dead, ended, killed_at, killed_unanswered, outcome, passed, ran,
};

const NEVER_ENDS: &str = "hang";

/// A Spark that drops an operation soon after its client has left.
fn forgetful(profile: Profile, tombstones: usize) -> Settings {
    let version = match profile {
        Profile::Spark43 | Profile::Sail => "4.3.0",
        Profile::Spark41 => "4.1.0",
        Profile::Spark40 => "4.0.1",
        Profile::Spark35 => "3.5.6",
    };
    Settings {
        profile,
        tombstones,
        spark_version: version.into(),
        // As long as its stream could last, a client that died counts as there.
        sender_max_stream_ms: 300,
        detached_timeout_ms: 300,
        maintenance_interval_ms: 50,
        ..Settings::default()
    }
}

/// Kills the coordinator, lets Spark drop the statement, and starts it again: the statement ends
/// with this error class, and never runs a second time.
async fn dropped(settings: Settings, directive: &str, wanted: &str) -> Result<()> {
    let succeeds = directive != NEVER_ENDS;
    let (stub, mut libra) = apart(settings, 4).await?;
    let statement = killed_unanswered(&stub, &mut libra, directive).await?;
    let gone = if succeeds {
        Outcome::Succeeded
    } else {
        Outcome::Cancelled
    };
    until("Spark to have ended the statement", SOON, || async {
        Ok(outcome(&stub, &statement.code) == Some(gone))
    })
    .await?;
    if succeeds {
        // Ended, it is kept until nobody has been attached for long enough.
        passed(Duration::from_millis(1_500)).await?;
    }

    libra.start().await?;
    let ended = ended(&libra, &statement.job).await?;
    assert_eq!(class(&ended), wanted, "{:?}", ended.error);
    assert_eq!(ran(&stub, &statement.code), 1);
    let next = libra
        .api
        .run("default", &super::sql("rows=3"), SOON)
        .await?;
    super::assert_succeeded(&next);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_detached_operation_with_its_tombstone_ends_unknown() -> Result<()> {
    let spark = forgetful(Profile::Spark43, 10_000);
    dropped(spark, NEVER_ENDS, "LIBRA_OUTCOME_UNKNOWN").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_tombstone_expired_spark_is_asked_and_says_cancelled() -> Result<()> {
    dropped(
        forgetful(Profile::Spark43, 0),
        NEVER_ENDS,
        "LIBRA_INTERRUPTED",
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_tombstone_expired_what_ran_to_its_end_has_lost_its_result() -> Result<()> {
    dropped(
        forgetful(Profile::Spark43, 0),
        "delay_ms=50",
        "LIBRA_RESULT_LOST",
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_get_status_the_memory_refuses_the_second_send() -> Result<()> {
    let spark = forgetful(Profile::Spark41, 0);
    dropped(spark, NEVER_ENDS, "LIBRA_OUTCOME_UNKNOWN").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_memory_is_never_sent_an_id_again() -> Result<()> {
    let spark = forgetful(Profile::Spark40, 0);
    dropped(spark, NEVER_ENDS, "LIBRA_OUTCOME_UNKNOWN").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spark_3_5_is_never_sent_an_id_again() -> Result<()> {
    let spark = forgetful(Profile::Spark35, 0);
    dropped(spark, NEVER_ENDS, "LIBRA_OUTCOME_UNKNOWN").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_runs_a_repeated_id_again_is_never_sent_one() -> Result<()> {
    let sail = forgetful(Profile::Sail, 0);
    dropped(sail, NEVER_ENDS, "LIBRA_OUTCOME_UNKNOWN").await
}

/// A cancelled statement that had never arrived is poisoned; killed before that is committed, the
/// next life finds the poison in Spark, with a result of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_poison_of_an_id_never_passes_for_its_statement() -> Result<()> {
    let (stub, mut libra) = apart(Settings::default(), 4).await?;
    let statement = killed_at("committed-not-sent", &mut libra, "rows=3").await?;
    assert_eq!(ran(&stub, &statement.code), 0);

    stub.faults().add(Fault {
        method: Method::ReleaseExecute,
        delay_ms: 0,
        lose: Lose::Request,
        cut_after: None,
        times: 3,
    });
    stub.net().set_mode(Mode::Refuse);
    libra.set_env(FAILPOINTS, Some("stored-not-committed=return(kill)"));
    libra.start().await?;
    libra.api.cancel("default", &statement.job).await?;
    stub.net().set_mode(Mode::Open);
    dead(&mut libra).await?;
    let poisoned = || stub.ledger(|ledger| ledger.count_containing("libra-seal"));
    assert_eq!(poisoned(), 1, "the id is not poisoned");

    libra.set_env(FAILPOINTS, None);
    libra.start().await?;
    let ended = ended(&libra, &statement.job).await?;
    assert_eq!(ended.state, State::Cancelled, "{ended:?}");
    assert_eq!((ran(&stub, &statement.code), poisoned()), (0, 1));
    Ok(())
}

/// The answer to the poison is lost. The owner that goes on poisons again; the next owner, in the
/// place of one that has died, reattaches to the poison.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_whose_answer_was_lost_never_passes_for_its_statement() -> Result<()> {
    for dies in [false, true] {
        let (stub, mut libra) = apart(Settings::default(), 4).await?;
        let statement = killed_at("committed-not-sent", &mut libra, "rows=3").await?;
        stub.net().set_mode(Mode::Refuse);
        libra.start().await?;
        libra.api.cancel("default", &statement.job).await?;
        for method in [Method::ExecutePlan, Method::ReleaseExecute] {
            stub.faults().add(Fault {
                method,
                delay_ms: 0,
                lose: Lose::Answer,
                cut_after: None,
                times: if dies { u32::MAX } else { 1 },
            });
        }
        stub.net().set_mode(Mode::Open);
        let poisoned = || stub.ledger(|ledger| ledger.count_containing("libra-seal"));
        if dies {
            until("the poison to be in Spark", SOON, || async {
                Ok(poisoned() == 1)
            })
            .await?;
            libra.kill()?;
            stub.faults().clear();
            libra.start().await?;
        }
        let ended = ended(&libra, &statement.job).await?;
        assert_eq!(ended.state, State::Cancelled, "dies: {dies}; {ended:?}");
        assert_eq!((ran(&stub, &statement.code), poisoned()), (0, 1));
    }
    Ok(())
}
