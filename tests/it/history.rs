//! What a person sees of a run and says to the next one, through the program: `history`, `approve`, and `explain` of a name that is not
//! there.

use crate::binary::{Site, policy};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_is_reported_approved_applied_and_looked_up() {
    let edited = policy("enforce", "    limits: { changes: approve }\n");
    let site = Site::new(&edited.replace("14d", "95d")).await;
    assert!(site.run(&["history"]).await.error.starts_with("retaind: there is no state in state yet: nothing was run"));
    site.run(&["run", "--once"]).await.done();
    site.folder.write("policies.yaml", &edited);
    let before = site.left();
    let held_back = site.run(&["run", "--once"]).await;
    assert_eq!((held_back.code, site.left()), (Some(3), before));
    let hash = held_back.out.split(", plan ").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("a hash").to_owned();

    let shown = site.run(&["history"]).await.done();
    assert!(shown.starts_with("run 2  ") && shown.contains("ci on contoso (enforce)  refused\n"), "{shown}");
    assert!(shown.contains(&format!("    plan {hash}: 8 planned, ")) && shown.contains("\n    the policies changed, so"), "{shown}");
    assert!(shown.contains(" 4 deleted, ") && !shown.contains(" 0 "), "what did not happen is not told:\n{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");

    let said = site.run(&["approve", "abc"]).await;
    assert!(said.complaint(2).contains(&format!("the latest are {hash} (policy ci on contoso)")), "{said:?}");
    let said = site.run(&["approve", &hash]).await.done();
    assert!(said.starts_with(&format!("plan {hash} of policy ci on contoso is approved; ")), "{said}");
    site.run(&["run", "--once"]).await.done();
    assert!(!site.left().contains("pr-1"), "{}", site.left());

    let changes = site.run(&["history", "--run", "3"]).await.done();
    assert!(changes.contains("    with tags pr-9\n    done; rule pull-requests\n"), "{changes}");
    assert!(changes.contains("  untag  contoso/app:pr-10\n"), "{changes}");
    let documents = site.run(&["history", "--output", "json"]).await.done();
    let outcomes: Vec<String> = documents
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a document a line")["outcome"].to_string())
        .collect();
    assert_eq!(outcomes, [r#""applied""#, r#""refused""#, r#""applied""#]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_repository_that_is_not_there_nobody_reads_that_it_stays() {
    let site = Site::new(&policy("dry-run", "")).await;
    let said = site.run(&["explain", "ap:1.0"]).await;
    assert_eq!((said.code, said.out.as_str()), (Some(2), "registry contoso has no repository ap\n"), "{said:?}");
    assert_eq!(said.error, "retaind: there is no repository ap; look for a typing error\n");
}
