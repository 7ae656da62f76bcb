//! Where runs may be written, and what interrupted ones leave.

use super::*;

fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn refused(text: &str, directory: &Path) -> TrainError {
    match prepare(text, directory, None) {
        Ok(_) => panic!("{} was taken", directory.display()),
        Err(error) => error,
    }
}

#[test]
fn an_interrupted_run_leaves_whole_lines_and_can_be_run_again() {
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path().join("run");
    let mut recorder = Recorder { stop_after: Some(25), ..Recorder::default() };
    let error = prepare(LINEAR, &run, None).unwrap().train(&mut recorder).unwrap_err();
    assert!(
        matches!(&error, TrainError::Interrupted { directory, replaces: false, .. } if *directory == run)
    );
    assert_eq!(
        error.to_string(),
        format!("interrupted; {} holds the metrics so far and no model", run.display())
    );
    assert_eq!(recorder.steps.len(), 25, "no step after the one that was going on");
    assert_eq!(files(&run), ["metrics.jsonl", "recipe.toml"]);
    assert_eq!(fs::read_to_string(run.join("recipe.toml")).unwrap(), LINEAR);
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 1);
    assert!(metrics.ends_with("}\n"));

    let error = Predictor::open(&run).err().unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "{} has no model.safetensors: its training did not end; train it again",
            run.display()
        )
    );

    // Its recipe is enough to run it again, in the same place.
    let recipe = Recipe::read(run.join("recipe.toml")).unwrap();
    let options = RunOptions { directory: Some(run.clone()), ..RunOptions::default() };
    let prepared = Prepared::new(recipe, options).unwrap();
    prepared.train(&mut Recorder::default()).unwrap();
    let all = ["metrics.jsonl", "model.safetensors", "recipe.toml", "summary.json"];
    assert_eq!(files(&run), all);
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 2);

    // Checking a recipe against a finished run changes nothing, nor does one that is stopped.
    let model = fs::read(run.join("model.safetensors")).unwrap();
    prepare(LINEAR, &run, None).unwrap();
    assert_eq!(files(&run), all);
    let mut recorder = Recorder { stop_after: Some(25), ..Recorder::default() };
    let error = prepare(LINEAR, &run, Some(9)).unwrap().train(&mut recorder).unwrap_err();
    assert!(matches!(&error, TrainError::Interrupted { replaces: true, .. }));
    assert_eq!(
        error.to_string(),
        format!("interrupted; {} holds the run that finished before", run.display())
    );
    assert_eq!(files(&run), all);
    assert_eq!(fs::read_to_string(run.join("metrics.jsonl")).unwrap(), metrics);
    assert_eq!(fs::read(run.join("model.safetensors")).unwrap(), model);

    // One that ends takes its place, whole.
    let prepared = prepare(LINEAR, &run, Some(9)).unwrap();
    assert_eq!(prepared.train(&mut Recorder::default()).unwrap().seed, 9);
    assert_eq!(files(&run), all);
    assert_ne!(fs::read(run.join("model.safetensors")).unwrap(), model);
    assert!(fs::read_to_string(run.join("recipe.toml")).unwrap().contains("seed = 9"));
}

#[test]
fn two_runs_do_not_share_a_directory() {
    struct Second(std::path::PathBuf);
    impl Observer for Second {
        fn event(&mut self, event: Event<'_>) {
            if let Event::Step { step: 1, .. } = event {
                let prepared = prepare(LINEAR, &self.0, Some(3)).unwrap();
                let error = prepared.train(&mut Recorder::default()).unwrap_err();
                assert!(matches!(&error, TrainError::Busy { directory } if *directory == self.0));
            }
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path().join("run");
    let summary = prepare(LINEAR, &run, None).unwrap().train(&mut Second(run.clone())).unwrap();
    assert_eq!(fs::read_to_string(run.join("recipe.toml")).unwrap(), LINEAR);
    assert_ne!(summary.seed, 3);
}

#[test]
fn a_recipe_alone_is_no_run() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("recipe.toml"), LINEAR).unwrap();
    fs::write(directory.path().join("model.safetensors"), "precious").unwrap();
    assert!(matches!(refused(LINEAR, directory.path()), TrainError::NotARun { .. }));
    assert_eq!(fs::read(directory.path().join("model.safetensors")).unwrap(), b"precious");
}

#[test]
fn a_directory_of_other_files_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("thesis.tex"), "years").unwrap();
    fs::write(directory.path().join("notes.txt"), "more").unwrap();
    let error = refused(LINEAR, directory.path());
    assert!(matches!(error, TrainError::NotARun { .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "{} is not empty and holds no run: it has notes.txt but not the recipe.toml and \
             metrics.jsonl of one; choose another directory or empty this one",
            directory.path().display()
        )
    );
    assert_eq!(files(directory.path()), ["notes.txt", "thesis.tex"]);
}

#[test]
fn a_path_under_a_file_is_refused_before_training() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.join("run"), file.clone()] {
        let error = refused(LINEAR, &path);
        assert_eq!(
            error.to_string(),
            format!(
                "the run directory {} cannot be written: {} exists and is not a directory: move it \
                 away or choose another path",
                path.display(),
                file.display()
            )
        );
    }
}

#[test]
fn a_recipe_that_does_not_fit_makes_no_directory() {
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path().join("run");
    let text = LINEAR.replace("features = 10", "features = 9");
    assert!(matches!(refused(&text, &run), TrainError::Recipe(_)));
    assert!(!run.exists());
}

#[test]
fn the_recipe_names_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path().join("named");
    let text = format!("{LINEAR}[output]\ndirectory = {:?}\n", run.to_str().unwrap());
    let recipe = Recipe::parse(&text, "r.toml").unwrap();
    let prepared = Prepared::new(recipe, RunOptions::default()).unwrap();
    assert_eq!(prepared.directory(), run);
}

#[test]
fn a_seed_that_toml_cannot_hold_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let error = prepare(LINEAR, directory.path(), Some(u64::MAX)).err().unwrap();
    assert_eq!(
        error.to_string(),
        "seed 18446744073709551615 is too large; expected an integer from 0 to 9223372036854775807"
    );
}

#[test]
fn a_loss_that_is_no_number_ends_the_run() {
    let directory = tempfile::tempdir().unwrap();
    let text = LINEAR.replace("lr = 0.1", "lr = 1e38");
    let prepared = prepare(&text, directory.path(), None).unwrap();
    let error = prepared.train(&mut Recorder::default()).unwrap_err();
    assert!(
        matches!(error, TrainError::NonFinite { step: 2..=4, loss } if !loss.is_finite()),
        "{error}"
    );
    assert_eq!(files(directory.path()), ["metrics.jsonl", "recipe.toml"]);
}
