"""A process reward model on labels of the policy's responses, Monte-Carlo or exact; from its weights or a smaller model's.

Paper: Snell et al. 2024, arXiv 2408.03314, appendix D: soft values, binary cross-entropy, AdamW with β 0.9 and 0.95, batches of
128, early stop on the loss of a tenth of the questions. Other than there: a model of 0.5 B or less, a learning rate of 1e-5 in
place of 3e-5, and batches of 32.

COMMAND
  python scripts/label.py --workdir runs/pool --label majority --n 8 --separator ";"
  python scripts/train_prm.py --config configs/prm.py:run=runs/pool,label=majority
  python scripts/label.py --workdir runs/pool --label majority --verifier checker --separator ";"
  python scripts/train_prm.py --config configs/prm.py:run=runs/pool,label=majority,by=checker
  python scripts/train_prm.py --config configs/prm.py:run=runs/pool,label=majority,values=consensus,judge=checker
  python scripts/train_prm.py --config configs/prm.py:run=runs/pool,by=checker,model=smollm2-135m-instruct,format=skywork

A consensus wants both files to be of the same steps, hence one --separator.

MEASURED: docs/results.md, the last of these, from weights that had learnt sums: AUROC 0.80 after one epoch, and no gain over
the majority vote.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg=None):
    """run, label, by: which labels, by the number of endings or a verifier; values: soft, hard or consensus, which needs a judge:
    other labels of the same responses; model: that learns, the one that drew them or, in a format of text, any; format: "own" is
    the policy's prompt and ids, skywork, trl and qwen_math read text; seed, epochs."""
    known = {"run": "", "label": "majority", "by": "8", "judge": "", "values": "soft"}
    arg = common.parse_arg(arg, **known, model=common.MODEL, format="own", seed=0, epochs=2)
    config = ConfigDict()
    config.model, config.format, config.seed = arg.model, arg.format, arg.seed
    config.epochs, config.every, config.patience = arg.epochs, 20, 4
    config.labels = {
        "run": arg.run, "label": arg.label, "by": arg.by, "judge": arg.judge, "values": arg["values"], "held_out": 0.1,
        "max_tokens": 1024,
    }  # fmt: skip
    config.batches = {"layout": "packed", "examples": 32, "rows": 2}
    config.optimizer = {
        "name": "adamw", "learning_rate": 1e-5, "schedule": "cosine", "warmup": 0.05, "b1": 0.9, "b2": 0.95, "eps": 1e-8,
        "weight_decay": 0.0, "clip": 1.0, "momentum": 0.95,
    }  # fmt: skip
    config.step = {"compute_dtype": "", "remat": "none"}
    config.export_dtype = "bfloat16"
    return config


def get_sweep():
    """Soft values against hard ones, and the learning rate."""
    return [{"config.labels.values": values} for values in ("soft", "hard")] + [
        {"config.optimizer.learning_rate": rate} for rate in (3e-6, 3e-5)
    ]
