//! Wrong recipes: a line, where it goes in the least recipe, and everything that is printed.

/// Index of the exchanged line, the line, the errors.
#[rustfmt::skip]
pub(crate) const CASES: &[(usize, &str, &str)] = &[
    (5, "seed = = 3",
"r.toml:6:8: not valid TOML: extra `=`, expected nothing"),
    (5, r#"name = "again""#,
"r.toml:6:1: not valid TOML: duplicate key"),
    (5, "seed = 99999999999999999999",
"r.toml:6:8: not valid TOML: integer number overflowed"),
    (5, "sead = 3",
"r.toml:6:1: sead: unknown key; expected one of `name`, `description`, `seed`, `data`, `network`, `layer`, `init`, `parametrize`, `tie`, `constrain`, `optimizer`, `schedule`, `train`, `prune`, `output`, `variant`, `pretrain`, `short`; did you mean `seed`?"),
    (5, "seed = -1",
"r.toml:6:8: seed: found -1; expected an integer of at least 0"),
    (5, r#"seed = "3""#,
"r.toml:6:8: seed: found a string; expected an integer of at least 0"),
    (5, r#""batch size" = 3"#,
r#"r.toml:6:1: "batch size": unknown key; expected one of `name`, `description`, `seed`, `data`, `network`, `layer`, `init`, `parametrize`, `tie`, `constrain`, `optimizer`, `schedule`, `train`, `prune`, `output`, `variant`, `pretrain`, `short`"#),
    (5, r#"description = """#,
"r.toml:6:15: description: found an empty string; expected a text"),
    (0, "",
"r.toml:1:1: name: missing key; expected a name: 1 to 100 letters, digits, `_` or `-`"),
    (0, r#"name = "a/b""#,
r#"r.toml:1:8: name: found "a/b"; expected a name: 1 to 100 letters, digits, `_` or `-`"#),
    (0, "name = 3",
"r.toml:1:8: name: found an integer; expected a name: 1 to 100 letters, digits, `_` or `-`"),
    (0, r#"nam = "least""#,
"r.toml:1:1: name: missing key; expected a name: 1 to 100 letters, digits, `_` or `-`
r.toml:1:1: nam: unknown key; expected one of `name`, `description`, `seed`, `data`, `network`, `layer`, `init`, `parametrize`, `tie`, `constrain`, `optimizer`, `schedule`, `train`, `prune`, `output`, `variant`, `pretrain`, `short`; did you mean `name`?"),
    (1, "",
"r.toml:1:1: data: missing key; expected a table `[data]`"),
    (1, r#"data = "digits""#,
"r.toml:2:8: data: found a string; expected a table `[data]`"),
    (1, r#"data = { source = "digit" }"#,
r#"r.toml:2:19: data.source: unknown name "digit"; expected one of `digits`, `csv`, `arrays`, `idx`, `images`, `text`, `sequences`, `copying`; did you mean `digits`?"#),
    (1, r#"data = { source = "digits", test_fraction = 1 }"#,
"r.toml:2:45: data.test_fraction: found 1; expected a number strictly between 0 and 1"),
    (1, "data = { augment = { shfit = 1 } }",
"r.toml:2:8: data.source: missing key; expected one of `digits`, `csv`, `arrays`, `idx`, `images`, `text`, `sequences`, `copying`
r.toml:2:22: data.augment.shfit: unknown key; expected one of `shift`, `flip`, `crop`, `rotate`; did you mean `shift`?"),
    (4, "",
"r.toml:1:1: layer: missing key; expected tables `[[layer]]`, one for each layer"),
    (4, "layer = []",
"r.toml:5:9: layer: found no layer; expected tables `[[layer]]`, one for each layer"),
    (4, r#"layer = ["relu"]"#,
"r.toml:5:10: layer[0]: found a string; expected a table"),
    (4, r#"layer = { type = "relu" }"#,
"r.toml:5:9: layer: found a table; expected tables `[[layer]]`"),
    (4, "layer = [{}]",
"r.toml:5:10: layer[0].type: missing key; expected one of `conv2d`, `conv1d`, `conv_transpose2d`, `conv_transpose1d`, `linear`, `embedding`, `rnn`, `lstm`, `gru`, `attention`, `positions`, `scale`, `batch_norm`, `layer_norm`, `group_norm`, `instance_norm`, `rms_norm`, `relu`, `leaky_relu`, `gelu`, `sigmoid`, `tanh`, `silu`, `mish`, `elu`, `selu`, `softplus`, `hard_swish`, `prelu`, `softmax`, `log_softmax`, `max_pool2d`, `avg_pool2d`, `max_pool1d`, `avg_pool1d`, `adaptive_avg_pool2d`, `adaptive_avg_pool1d`, `global_avg_pool`, `global_max_pool`, `dropout`, `flatten`, `reshape`, `transpose`, `upsample`, `pad`, `identity`, `shortcut`, `route`, `mul`, `block`, `repeat`, `reuse`"),
    (4, r#"layer = [{ type = "conv", channels = 3 }]"#,
r#"r.toml:5:19: layer[0].type: unknown name "conv"; expected one of `conv2d`, `conv1d`, `conv_transpose2d`, `conv_transpose1d`, `linear`, `embedding`, `rnn`, `lstm`, `gru`, `attention`, `positions`, `scale`, `batch_norm`, `layer_norm`, `group_norm`, `instance_norm`, `rms_norm`, `relu`, `leaky_relu`, `gelu`, `sigmoid`, `tanh`, `silu`, `mish`, `elu`, `selu`, `softplus`, `hard_swish`, `prelu`, `softmax`, `log_softmax`, `max_pool2d`, `avg_pool2d`, `max_pool1d`, `avg_pool1d`, `adaptive_avg_pool2d`, `adaptive_avg_pool1d`, `global_avg_pool`, `global_max_pool`, `dropout`, `flatten`, `reshape`, `transpose`, `upsample`, `pad`, `identity`, `shortcut`, `route`, `mul`, `block`, `repeat`, `reuse`; did you mean `conv2d` or `conv1d`?"#),
    (4, "layer = [{ type = 3 }]",
"r.toml:5:19: layer[0].type: found an integer; expected one of `conv2d`, `conv1d`, `conv_transpose2d`, `conv_transpose1d`, `linear`, `embedding`, `rnn`, `lstm`, `gru`, `attention`, `positions`, `scale`, `batch_norm`, `layer_norm`, `group_norm`, `instance_norm`, `rms_norm`, `relu`, `leaky_relu`, `gelu`, `sigmoid`, `tanh`, `silu`, `mish`, `elu`, `selu`, `softplus`, `hard_swish`, `prelu`, `softmax`, `log_softmax`, `max_pool2d`, `avg_pool2d`, `max_pool1d`, `avg_pool1d`, `adaptive_avg_pool2d`, `adaptive_avg_pool1d`, `global_avg_pool`, `global_max_pool`, `dropout`, `flatten`, `reshape`, `transpose`, `upsample`, `pad`, `identity`, `shortcut`, `route`, `mul`, `block`, `repeat`, `reuse`"),
    (4, r#"layer = [{ type = "conv2d", chanels = 3, kernal = 3 }]"#,
"r.toml:5:10: layer[0].channels: missing key; expected an integer from 1 to 16777216
r.toml:5:10: layer[0].kernel: missing key; expected an integer from 1 to 16777216 or `[height, width]`
r.toml:5:29: layer[0].chanels: unknown key; expected one of `type`, `name`, `from`, `channels`, `kernel`, `stride`, `padding`, `dilation`, `groups`, `bias`; did you mean `channels`?
r.toml:5:42: layer[0].kernal: unknown key; expected one of `type`, `name`, `from`, `channels`, `kernel`, `stride`, `padding`, `dilation`, `groups`, `bias`; did you mean `kernel`?"),
    (4, r#"layer = [{ type = "conv2d", channels = 0, kernel = [3, 0], bias = 1 }]"#,
"r.toml:5:40: layer[0].channels: found 0; expected an integer from 1 to 16777216
r.toml:5:56: layer[0].kernel[1]: found 0; expected an integer from 1 to 16777216
r.toml:5:67: layer[0].bias: found an integer; expected `true` or `false`"),
    (4, r#"layer = [{ type = "conv2d", channels = 1.5, kernel = [3, 3, 3], padding = "same" }]"#,
"r.toml:5:40: layer[0].channels: found a float; expected an integer from 1 to 16777216
r.toml:5:54: layer[0].kernel: found an array of 3; expected an integer from 1 to 16777216 or `[height, width]`
r.toml:5:75: layer[0].padding: found a string; expected an integer from 0 to 16777216 or `[height, width]`"),
    (4, r#"layer = [{ type = "linear", out_features = 10 }]"#,
"r.toml:5:10: layer[0].features: missing key; expected an integer from 1 to 16777216
r.toml:5:29: layer[0].out_features: unknown key; expected one of `type`, `name`, `from`, `features`, `bias`; did you mean `features`?"),
    (4, r#"layer = [{ type = "linear", features = 16777217 }]"#,
"r.toml:5:40: layer[0].features: found 16777217; expected an integer from 1 to 16777216"),
    (4, r#"layer = [{ type = "relu", slope = 0.1 }]"#,
"r.toml:5:27: layer[0].slope: unknown key; expected one of `type`, `name`, `from`"),
    (4, r#"layer = [{ type = "max_pool2d", kernel = 2, padding = 2 }]"#,
"r.toml:5:55: layer[0].padding: found [2, 2] around a kernel of [2, 2]; expected at most half the kernel, [1, 1]"),
    (4, r#"layer = [{ type = "dropout", probability = 1.0 }]"#,
"r.toml:5:44: layer[0].probability: found 1.0; expected a number of at least 0 and below 1"),
    (4, r#"layer = [{ type = "batch_norm", epsilon = 0, momentum = 1.5 }]"#,
"r.toml:5:43: layer[0].epsilon: found 0; expected a number above 0
r.toml:5:57: layer[0].momentum: found 1.5; expected a number from 0 to 1"),
    (4, r#"layer = [{ type = "leaky_relu", slope = nan, name = "" }]"#,
"r.toml:5:41: layer[0].slope: found NaN; expected a number of at least 0
r.toml:5:53: layer[0].name: found an empty string; expected a name for messages and references"),
    (4, r#"layer = [{ type = "adaptive_avg_pool2d" }]"#,
"r.toml:5:10: layer[0].output: missing key; expected an integer from 1 to 16777216 or `[height, width]`"),
    (5, r#"init = [{ select = "a", method = "kaimng_normal" }]"#,
r#"r.toml:6:34: init[0].method: unknown name "kaimng_normal"; expected one of `kaiming_uniform`, `kaiming_normal`, `xavier_uniform`, `xavier_normal`, `uniform`, `normal`, `constant`, `zeros`, `ones`, `orthogonal`, `torch_default`; did you mean `kaiming_normal`?"#),
    (5, r#"init = [{ method = "zeros" }]"#,
r#"r.toml:6:9: init[0].select: missing key; expected a path or glob like `"**.weight"`, `{ regex = "..." }`, `{ layer = "..." }`, `{ layer = "...", parameter = "..." }`, or an array of these"#),
    (5, r#"init = [{ select = [], method = "zeros" }]"#,
r#"r.toml:6:20: init[0].select: found an empty array; expected a path or glob like `"**.weight"`, `{ regex = "..." }`, `{ layer = "..." }`, `{ layer = "...", parameter = "..." }`, or an array of these"#),
    (5, r#"init = [{ select = ["a", 3, ["b"]], method = "zeros" }]"#,
r#"r.toml:6:26: init[0].select[1]: found an integer; expected a path or glob like `"**.weight"`, `{ regex = "..." }`, `{ layer = "..." }` or `{ layer = "...", parameter = "..." }`
r.toml:6:29: init[0].select[2]: found an array; expected a path or glob like `"**.weight"`, `{ regex = "..." }`, `{ layer = "..." }` or `{ layer = "...", parameter = "..." }`"#),
    (5, r#"init = [{ select = { regx = "a" }, method = "zeros" }]"#,
"r.toml:6:22: init[0].select.regx: unknown key; expected one of `regex`, `layer`, `parameter`; did you mean `regex`?"),
    (5, r#"init = [{ select = { regex = "a", layer = "Linear" }, method = "zeros" }]"#,
r#"r.toml:6:20: init[0].select: found `regex` beside other keys; expected a path or glob like `"**.weight"`, `{ regex = "..." }`, `{ layer = "..." }` or `{ layer = "...", parameter = "..." }`"#),
    (5, r#"init = [{ select = { layer = "" }, method = "zeros" }]"#,
r#"r.toml:6:30: init[0].select.layer: found an empty string; expected a layer's type like `"Linear"`"#),
    (5, r#"init = [{ select = "a", method = "kaiming_normal", slope = 0.1 }]"#,
r#"r.toml:6:60: init[0].slope: a slope without effect; expected `nonlinearity = "leaky_relu"` beside it"#),
    (5, r#"init = [{ select = "a", method = "kaiming_normal", nonlinearity = "leky_relu", mode = "fan", slope = 0.1 }]"#,
r#"r.toml:6:67: init[0].nonlinearity: unknown name "leky_relu"; expected one of `linear`, `sigmoid`, `tanh`, `relu`, `leaky_relu`, `selu`; did you mean `leaky_relu`?
r.toml:6:87: init[0].mode: unknown name "fan"; expected one of `fan_in`, `fan_out`; did you mean `fan_in` or `fan_out`?"#),
    (5, r#"init = [{ select = "a", method = "uniform", low = 1 }]"#,
"r.toml:6:51: init[0].low: found 1.0 to 1.0; expected `low` below `high`"),
    (5, r#"init = [{ select = "a", method = "uniform", low = 2, high = 1.5 }]"#,
"r.toml:6:61: init[0].high: found 2.0 to 1.5; expected `low` below `high`"),
    (5, r#"init = [{ select = "a", method = "constant", value = 1e300 }]"#,
"r.toml:6:54: init[0].value: found 1e300, outside the range of 32-bit floats; expected a number"),
    (5, r#"init = [{ select = "a", method = "normal", std = -0.1 }]"#,
"r.toml:6:50: init[0].std: found -0.1; expected a number of at least 0"),
    (5, r#"parametrize = [{ select = "a", rule = "weight_norm", dim = "all" }]"#,
r#"r.toml:6:60: parametrize[0].dim: found "all"; expected an integer of at least 0 or `"none"`"#),
    (5, r#"parametrize = [{ select = "a", rule = "weight_norm", dim = -1 }]"#,
r#"r.toml:6:60: parametrize[0].dim: found -1; expected an integer of at least 0 or `"none"`"#),
    (5, r#"parametrize = [{ select = "a", rule = "weight_norm", dim = [0] }]"#,
"r.toml:6:60: parametrize[0].dim: found an array; expected a number, a string or a boolean"),
    (5, r#"parametrize = [{ select = "a", rule = "symmetric", dim = 0 }]"#,
"r.toml:6:52: parametrize[0].dim: unknown key; expected one of `select`, `rule`"),
    (5, r#"parametrize = [{ select = "a", rule = "lora", alpha = "much" }]"#,
r#"r.toml:6:16: parametrize[0].rank: missing key; expected an option that `lora` needs
r.toml:6:55: parametrize[0].alpha: found "much"; expected a number or `"none"`"#),
    (5, r#"parametrize = [{ select = "a", rule = "orthogonal", trivialization = 1 }]"#,
"r.toml:6:70: parametrize[0].trivialization: found 1; expected `true` or `false`"),
    (5, r#"parametrize = [{ select = "a", rule = "orthogonal", map = "caley", trivialisation = true }]"#,
r#"r.toml:6:59: parametrize[0].map: unknown name "caley"; expected one of `exp`, `cayley`, `householder`; did you mean `cayley`?
r.toml:6:68: parametrize[0].trivialisation: unknown key; expected one of `select`, `rule`, `map`, `trivialization`; did you mean `trivialization`?"#),
    (5, r#"tie = [{ target = "a", source = "a" }]"#,
r#"r.toml:6:33: tie[0].source: found "a", the target itself; expected another parameter's path"#),
    (5, r#"tie = [{ target = "a", source = "b" }, { target = "a", source = "c" }]"#,
r#"r.toml:6:51: tie[1].target: found "a", tied already by tie[0].target; expected a path that no other tie has as its target"#),
    (5, r#"tie = [{ target = "a" }]"#,
r#"r.toml:6:8: tie[0].source: missing key; expected a parameter's path like `"1.weight"`"#),
    (2, "",
"r.toml:1:1: optimizer: missing key; expected a table `[optimizer]`"),
    (2, r#"optimizer = { type = "adamW" }"#,
r#"r.toml:3:22: optimizer.type: unknown name "adamW"; expected one of `adamw`, `adam`, `sgd`; did you mean `adamw`?"#),
    (2, r#"optimizer = { type = "adam", momentum = 0.9 }"#,
"r.toml:3:30: optimizer.momentum: unknown key; expected one of `type`, `lr`, `betas`, `eps`, `weight_decay`, `group`"),
    (2, r#"optimizer = { type = "adamw", lr = 0, weight_decay = -1 }"#,
"r.toml:3:36: optimizer.lr: found 0; expected a number above 0
r.toml:3:54: optimizer.weight_decay: found -1; expected a number of at least 0"),
    (2, r#"optimizer = { type = "adamw", betas = [0.9] }"#,
"r.toml:3:39: optimizer.betas: found an array of 1; expected an array of two numbers, each at least 0 and below 1"),
    (2, r#"optimizer = { type = "adamw", betas = [0.9, 1.0] }"#,
"r.toml:3:45: optimizer.betas[1]: found 1.0; expected a number of at least 0 and below 1"),
    (2, r#"optimizer = { type = "sgd", nesterov = true }"#,
"r.toml:3:40: optimizer.nesterov: found a momentum of 0.0 and a dampening of 0.0 under `nesterov`; expected a momentum above 0 and a dampening of 0"),
    (2, r#"optimizer = { type = "sgd", nesterov = true, momentum = "0.9" }"#,
"r.toml:3:57: optimizer.momentum: found a string; expected a number of at least 0"),
    (2, r#"optimizer = { type = "sgd", group = [{ lr = 1 }, { select = "a", weight_decy = 0.1 }] }"#,
r#"r.toml:3:38: optimizer.group[0].select: missing key; expected a path or glob like `"**.weight"`, `{ regex = "..." }`, `{ layer = "..." }`, `{ layer = "...", parameter = "..." }`, or an array of these
r.toml:3:66: optimizer.group[1].weight_decy: unknown key; expected one of `select`, `name`, `lr`, `momentum`, `dampening`, `nesterov`, `weight_decay`; did you mean `weight_decay`?"#),
    (5, r#"schedule = { type = "multi_step" }"#,
"r.toml:6:12: schedule.milestones: missing key; expected an array of integers that increase, each at least 1"),
    (5, r#"schedule = { type = "multistep", milestones = [3] }"#,
r#"r.toml:6:21: schedule.type: unknown name "multistep"; expected one of `constant`, `step`, `multi_step`, `exponential`, `constant_factor`, `linear`, `polynomial`, `cosine`, `cosine_warm_restarts`, `one_cycle`, `cyclic`, `plateau`, `wsd`, `noam`; did you mean `multi_step`?"#),
    (5, r#"schedule = { type = "multi_step", milestones = [3, 3, 2], unit = "epochs" }"#,
r#"r.toml:6:52: schedule.milestones[1]: found 3 after 3; expected values that increase from each to the next
r.toml:6:55: schedule.milestones[2]: found 2 after 3; expected values that increase from each to the next
r.toml:6:66: schedule.unit: unknown name "epochs"; expected one of `epoch`, `step`; did you mean `epoch`?"#),
    (5, r#"schedule = { type = "multi_step", milestones = [0, 2.5] }"#,
"r.toml:6:49: schedule.milestones[0]: found 0; expected an integer from 1 to 16777216
r.toml:6:52: schedule.milestones[1]: found a float; expected an integer from 1 to 16777216"),
    (5, r#"schedule = { type = "constant", gamma = 0.1 }"#,
"r.toml:6:33: schedule.gamma: unknown key; expected one of `type`, `unit`, `warmup`"),
    (3, r#"train = { epochs = 0, batch_size = "8" }"#,
"r.toml:4:20: train.epochs: found 0; expected an integer from 1 to 16777216
r.toml:4:36: train.batch_size: found a string; expected an integer from 1 to 16777216"),
    (3, "train = 3",
"r.toml:4:9: train: found an integer; expected a table `[train]`"),
    (5, "prune = {}",
r#"r.toml:6:9: prune.select: missing key; expected a path or glob like `"**.weight"`, `{ regex = "..." }`, `{ layer = "..." }`, `{ layer = "...", parameter = "..." }`, or an array of these
r.toml:6:9: prune.method: missing key; expected one of `l1_unstructured`, `random_unstructured`, `ln_structured`, `random_structured`, `n_of_m`
r.toml:6:9: prune.scope: missing key; expected one of `global`, `layer`
r.toml:6:9: prune.epochs: missing key; expected an array of integers that increase, each at least 0 and below `train.epochs`
r.toml:6:9: prune.sparsity: missing key; expected an array of numbers that increase, each strictly between 0 and 1, one for each of `prune.epochs`"#),
    (5, r#"prune = { select = "a", method = "l1", scope = "globl", of = "all", epochs = [1], sparsity = [0.5] }"#,
r#"r.toml:6:34: prune.method: unknown name "l1"; expected one of `l1_unstructured`, `random_unstructured`, `ln_structured`, `random_structured`, `n_of_m`; did you mean `l1_unstructured`?
r.toml:6:48: prune.scope: unknown name "globl"; expected one of `global`, `layer`; did you mean `global`?
r.toml:6:62: prune.of: unknown name "all"; expected one of `selected`, `network`"#),
    (5, r#"prune = { select = "a", method = "l1_unstructured", scope = "layer", epochs = [1, 4], sparsity = [0.5, 1] }"#,
"r.toml:6:83: prune.epochs[1]: found 4; expected an integer below `train.epochs`, 4
r.toml:6:104: prune.sparsity[1]: found 1; expected a number strictly between 0 and 1"),
    (5, r#"prune = { select = "a", method = "l1_unstructured", scope = "layer", epochs = [1, 2], sparsity = [0.8] }"#,
"r.toml:6:98: prune.sparsity: found an array of 1; expected 2, one for each of `prune.epochs`"),
    (5, r#"prune = { select = "a", method = "l1_unstructured", scope = "layer", epochs = [2, 1], sparsity = [0.8, 0.5] }"#,
"r.toml:6:83: prune.epochs[1]: found 1 after 2; expected values that increase from each to the next
r.toml:6:104: prune.sparsity[1]: found 0.5 after 0.8; expected values that increase from each to the next"),
    (5, r#"prune = { select = "a", method = "l1_unstructured", scope = "layer", epochs = [], sparsity = 0.5 }"#,
"r.toml:6:79: prune.epochs: found an empty array; expected an array of integers that increase, each at least 0 and below `train.epochs`
r.toml:6:94: prune.sparsity: found a float; expected an array of numbers that increase, each strictly between 0 and 1, one for each of `prune.epochs`"),
    (5, r#"output = { directory = "", dir = "x" }"#,
"r.toml:6:24: output.directory: found an empty string; expected a directory's path
r.toml:6:28: output.dir: unknown key; expected one of `directory`, `tensorboard`, `report`; did you mean `directory`?"),
    (5, r#"output = { directory = "a\u0000b" }"#,
"r.toml:6:24: output.directory: found a path with a NUL character; expected a directory's path"),
    (5, r#"[[layr]]
type = "relu""#,
"r.toml:6:3: layr: unknown key; expected one of `name`, `description`, `seed`, `data`, `network`, `layer`, `init`, `parametrize`, `tie`, `constrain`, `optimizer`, `schedule`, `train`, `prune`, `output`, `variant`, `pretrain`, `short`; did you mean `layer`?"),
    (5, r#"[[optimizer.group]]
select = "a""#,
"r.toml:6:3: not valid TOML: cannot extend value of type inline table with a dotted key"),
    (5, r#"[prune]
select = "a"
method = "l1_unstructured"
scope = "layer"
epochs = [1]
 sparsity = [0.0]"#,
"r.toml:11:14: prune.sparsity[0]: found 0.0; expected a number strictly between 0 and 1"),
    (5, r#"train = { epochs = 1 }"#,
"r.toml:6:1: not valid TOML: duplicate key"),
    (5, r#"constrain = [{ select = "a", rule = "max_nrm" }]"#,
r#"r.toml:6:37: constrain[0].rule: unknown name "max_nrm"; expected one of `max_norm`, `min_max_norm`, `unit_norm`, `non_neg`, `orthogonal`; did you mean `max_norm`?"#),
    (5, r#"constrain = [{ select = "a", rule = "max_norm" }]"#,
"r.toml:6:14: constrain[0].max: missing key; expected a number above 0"),
    (5, r#"schedule = { type = "plateau", unit = "step" }"#,
"r.toml:6:39: schedule.unit: found `step` for `plateau`; expected `epoch`: it looks at the test loss"),
    (5, r#"prune = { select = "a", method = "n_of_m", n = 4, m = 4, epoch = 0 }"#,
"r.toml:6:55: prune.m: found 4; expected more than n, 4"),
    (5, r#"prune = { select = "a", method = "l1_unstructured", scope = "layer", schedule = { target = 0.5, initial = 0.6, end = 0 } }"#,
"r.toml:6:81: prune.schedule: found an initial sparsity that is not below the target; expected one below it"),
    (5, r#"variant = [{ name = "a" }, { name = "a" }]"#,
r#"r.toml:6:37: variant[1].name: found "a" twice; expected a name of its own"#),
    (5, r#"variant = [{ name = "a", set = 3 }]"#,
r#"r.toml:6:32: variant[0].set: found an integer; expected a table of keys and values, like `{ "train.epochs" = 3 }`"#),
    (1, r#"data = { source = "csv", path = "x.csv", target = [], delimiter = "ab" }"#,
r#"r.toml:2:51: data.target: found an empty array; expected a column's name or its place from 0, or an array of these
r.toml:2:67: data.delimiter: found "ab"; expected one character, like `","` or `"\t"`"#),
    (1, r#"data = { source = "digits", classes = [3, 1], class_weights = "balance" }"#,
r#"r.toml:2:43: data.classes[1]: found 1 after 3; expected values that increase from each to the next
r.toml:2:63: data.class_weights: found "balance"; expected `"balanced"` or an array of numbers above 0, one for each class"#),
    (1, r#"data = { source = "idx", images = "a" }"#,
"r.toml:2:8: data.labels: missing key; expected a path, relative to the recipe's directory"),
];
