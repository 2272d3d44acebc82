//! What is said when something cannot be done, and by which exit code.

use anyhow::Result;
use libra_tests::harness::{Libra, free_port, libra_on_terminal};
use libra_tests::scene::stub;

use super::at_endpoint;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_say_what_was_wrong_and_what_to_do_next() -> Result<()> {
    let stub = stub().await?;
    let node = Libra::on(stub.connection_string()).start().await?;
    let grpc = format!("127.0.0.1:{}", node.grpc());
    let rest = node.api.base().trim_start_matches("http://").to_owned();
    let nobody = format!("127.0.0.1:{}", free_port()?);

    // One row: endpoint, command, exit code, what is said of it and of what to do.
    let rows = [
        (
            &nobody,
            "status",
            3,
            "no coordinator can be reached",
            "is `libra serve` running",
        ),
        (
            &rest,
            "status",
            3,
            "does not speak gRPC",
            "the node's gRPC address",
        ),
        (
            &grpc,
            "sessions show nowhere",
            1,
            "nowhere",
            "libra admin sessions list",
        ),
        (
            &grpc,
            "statements show job-999",
            1,
            "job-999",
            "libra admin statements list",
        ),
        (
            &grpc,
            "pools remove nowhere --yes",
            1,
            "nowhere",
            "libra admin pools list",
        ),
        (
            &grpc,
            "pools remove default --yes",
            1,
            "default",
            "always stays",
        ),
        (&grpc, "pools set x --weight 0", 2, "weight", ""),
        (
            &grpc,
            "nodes remove 1 --yes",
            1,
            "last voter",
            "libra admin nodes add",
        ),
        (
            &grpc,
            "nodes drain 1 --yes",
            1,
            "cannot drain node 1",
            "start another node first",
        ),
        (
            &grpc,
            "sessions close default --yes",
            1,
            "default",
            "SHARED",
        ),
        (
            &grpc,
            "nodes remove 1",
            2,
            "will not remove node 1",
            "give --yes",
        ),
        (
            &grpc,
            "sessions close default",
            2,
            "no terminal to ask on",
            "give --yes",
        ),
        (
            &grpc,
            "statements cancel",
            2,
            "cancel which statements",
            "--dry-run",
        ),
        (&grpc, "events --from 99999999", 1, "", "--from oldest"),
        (
            &grpc,
            "status --endpoint nonsense",
            2,
            "invalid value",
            "such as 127.0.0.1:8080",
        ),
        (
            &grpc,
            "restore /dev/null --yes",
            1,
            "/dev/null is damaged",
            "make the backup anew",
        ),
    ];
    for (endpoint, line, code, what, next) in rows {
        let ended = at_endpoint(endpoint, line).await?.expect(code)?;
        assert!(ended.err.contains(what), "{line}: {}", ended.err);
        assert!(ended.err.contains(next), "{line}: {}", ended.err);
        assert_eq!(ended.out, "", "{line}");
    }

    // A dead node before the one that lives costs nothing but a look.
    at_endpoint(&format!("{nobody},{grpc}"), "status")
        .await?
        .expect(0)?;
    at_endpoint(&nobody, &format!("status --endpoint {grpc}"))
        .await?
        .expect(0)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_taken_back_asks_on_a_terminal() -> Result<()> {
    let stub = stub().await?;
    let node = Libra::on(stub.connection_string()).start().await?;
    let grpc = format!("127.0.0.1:{}", node.grpc());
    let set = at_endpoint(&grpc, "pools set doomed").await?.expect(0)?;
    assert!(set.out.contains("pool doomed was made"), "{}", set.out);

    let remove = ["admin", "--endpoint", &grpc, "pools", "remove", "doomed"];
    let no = libra_on_terminal(&remove, "n\n").await?.expect(1)?;
    assert!(no.out.contains("Remove pool doomed? [y/N]"), "{}", no.out);
    assert!(no.out.contains("nothing was changed"), "{}", no.out);
    let there = at_endpoint(&grpc, "pools list").await?.expect(0)?;
    assert!(there.out.contains("doomed"), "{}", there.out);

    let yes = libra_on_terminal(&remove, "yes\n").await?.expect(0)?;
    assert!(yes.out.contains("pool doomed was removed"), "{}", yes.out);
    let gone = at_endpoint(&grpc, "pools list").await?.expect(0)?;
    assert!(!gone.out.contains("doomed"), "{}", gone.out);
    Ok(())
}
