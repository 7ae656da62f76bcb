//! Recipes that read well and do not fit their data or their network, with the exact words.

use super::*;

/// The error of `SMALL` with one piece of text in the place of another.
fn error(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    let directory = tempfile::tempdir().unwrap();
    match prepare(&SMALL.replacen(from, to, 1), directory.path(), None) {
        Ok(_) => panic!("{to} was taken"),
        Err(TrainError::Recipe(error)) => error.to_string(),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn layers_that_do_not_fit() {
    let cases = [
        // The last layer.
        (
            "features = 10",
            "features = 12",
            "r.toml:33:1: layer[9]: linear, the last layer, gives [12]; expected [10], one number \
             for each class; end with a `linear` layer of 10 features",
        ),
        // A window larger than what it looks at.
        (
            "type = \"max_pool2d\"\nkernel = 2",
            "name = \"small\"\ntype = \"max_pool2d\"\nkernel = 9",
            "r.toml:18:1: layer[3]: max_pool2d \"small\" is given [4, 8, 8] by layer[2], found 8; \
             expected at least 9 pixels, padding included",
        ),
        // An image layer after the images are gone.
        (
            "type = \"linear\"\nfeatures = 16",
            "type = \"conv2d\"\nchannels = 2\nkernel = 3",
            "r.toml:23:1: layer[5]: conv2d is given [64] by layer[4]; expected an image, [channels, \
             height, width]",
        ),
        // Too large to try.
        (
            "type = \"linear\"\nfeatures = 16",
            "type = \"linear\"\nfeatures = 16777216",
            "r.toml:23:1: layer[5]: linear brings the network to 1090519088 parameters; expected at \
             most 268435456",
        ),
        (
            "padding = 1",
            "padding = 4000",
            "r.toml:9:1: layer[0]: conv2d gives [4, 8006, 8006], 65634340864 values a batch; \
             expected at most 268435456",
        ),
    ];
    for (from, to, expected) in cases {
        assert_eq!(error(from, to), expected);
    }
    let flat = error("type = \"flatten\"", "type = \"relu\"");
    assert_eq!(
        flat,
        "r.toml:33:1: layer[9]: linear, the last layer, gives [4, 4, 10]; expected [10], one \
         number for each class; end with a `flatten` and a `linear` layer of 10 features"
    );
}

#[test]
fn selectors_that_match_nothing() {
    let cases = [
        (
            "select = \"0.weight\"",
            "select = \"0.wieght\"",
            "r.toml:38:10: init[0].select: \"0.wieght\" matches no parameter; did you mean \
             `0.weight`?",
        ),
        // PyTorch's names, also of norms.
        (
            "select = \"5.weight\"",
            "select = \"1.gamma\"",
            "r.toml:45:10: parametrize[0].select: \"1.gamma\" matches no parameter; nearest: \
             `1.bias`, `1.weight`, `0.bias`",
        ),
        (
            "{ layer = \"Linear\", parameter = \"weight\" }",
            "{ layer = \"Linaer\" }",
            "r.toml:56:23: optimizer.group[0].select[1]: no layer of type \"Linaer\" has \
             parameters; did you mean `Linear`?",
        ),
        (
            "{ layer = \"Linear\", parameter = \"weight\" }",
            "{ layer = \"Linear\", parameter = \"gamma\" }",
            "r.toml:56:23: optimizer.group[0].select[1]: no layer Linear has a parameter \"gamma\"; \
             Linear layers have `bias`, `weight`",
        ),
        (
            "\"5.weight\", \"9.weight\"]",
            "{ regex = \"^11\" }]",
            "r.toml:68:23: prune.select[1]: regex \"^11\" matches no parameter; nearest: \
             `0.weight`, `0.bias`, `1.weight`",
        ),
        (
            "\"5.weight\", \"9.weight\"]",
            "{ regex = \"(5\" }]",
            "r.toml:68:23: prune.select[1]: \"(5\" is not a valid pattern: unclosed group",
        ),
    ];
    for (from, to, expected) in cases {
        assert_eq!(error(from, to), expected);
    }
}

#[test]
fn rules_methods_and_ties_that_do_not_fit() {
    let cases = [
        (
            "select = \"**.bias\"\nmethod = \"zeros\"",
            "select = \"**.bias\"\nmethod = \"xavier_normal\"",
            "r.toml:42:10: init[1].method: `0.bias`: fans need at least two dimensions, found shape \
             [4]",
        ),
        (
            "select = \"5.weight\"\nrule = \"weight_norm\"",
            "select = \"5.weight\"\nrule = \"symmetric\"",
            "r.toml:46:8: parametrize[0].rule: does not fit `5.weight`: expected a square matrix, \
             found shape [16, 64]",
        ),
        (
            "[optimizer]",
            "[[tie]]\ntarget = \"9.weight\"\nsource = \"0.weight\"\n[optimizer]",
            "r.toml:51:1: tie[0]: `9.weight` cannot be tied to `0.weight`: shapes [10, 16] and [4, \
             1, 3, 3] differ (in PyTorch's layout, output features first)",
        ),
        (
            "[optimizer]",
            "[[tie]]\ntarget = \"9.weight\"\nsource = \"8.weight\"\n[optimizer]",
            "r.toml:53:10: tie[0].source: \"8.weight\" is no parameter of the network; did you mean \
             `0.weight` or `1.weight` or `5.weight` or `7.weight` or `9.weight`?",
        ),
    ];
    for (from, to, expected) in cases {
        assert_eq!(error(from, to), expected);
    }
}

#[test]
fn groups_and_pruning_that_do_not_fit() {
    let cases = [
        (
            "weight_decay = 0.01",
            "weight_decay = 0.01\n[[optimizer.group]]\nselect = [\"0.bias\", \"5.*\"]",
            "r.toml:59:21: optimizer.group[1].select[1]: `5.weight` is in group `weights` too; \
             expected one group for each parameter",
        ),
        (
            "\"5.weight\", \"9.weight\"]",
            "\"9.weight\"]",
            "r.toml:73:13: prune.sparsity[0]: 590 of the network's 1476 weights, but only 196 are \
             selected; expected at most 0.1328; select more parameters",
        ),
        (
            "\"9.weight\"]",
            "\"9.bias\"]",
            "r.toml:68:35: prune.select[2]: `9.bias` has one dimension; expected parameters of two \
             or more dimensions, of which `of = \"network\"` takes its fractions",
        ),
    ];
    for (from, to, expected) in cases {
        assert_eq!(error(from, to), expected);
    }
}

#[test]
fn all_problems_come_at_once_in_order() {
    let text = SMALL
        .replace("select = \"0.weight\"", "select = \"a\"")
        .replace("select = \"7.weight\"", "select = \"b\"")
        .replace("\"9.weight\"]", "\"c\"]");
    let directory = tempfile::tempdir().unwrap();
    let Err(TrainError::Recipe(error)) = prepare(&text, directory.path(), None) else {
        panic!("it was taken");
    };
    let keys: Vec<&str> = error.problems.iter().map(|p| p.key.as_str()).collect();
    assert_eq!(keys, ["init[0].select", "parametrize[1].select", "prune.select[2]"]);
}
