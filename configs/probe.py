"""A probe of the policy's own hidden states: whether a chain is right so far, for one token a step.

Labels as for a process reward model: exact ones by a verifier, or Monte-Carlo labels (Wang et al. 2023, Math-Shepherd, arXiv
2312.08935). A linear readout of hidden states finds whether what was said is true: Azaria and Mitchell 2023, arXiv 2304.13734.

COMMAND
  python scripts/evaluate.py --config configs/majority.py:n=500,samples=4 --config.task.seed=1 --workdir runs/pool
  python scripts/label.py --workdir runs/pool --label majority --verifier checker --separator ";"
  python scripts/train_probe.py --config configs/probe.py:run=runs/pool --workdir runs/probe
  python scripts/compare.py --config configs/compare.py:probe=runs/probe/probe.npz --workdir runs/compare-probe

MEASURED: docs/results.md, with samples=2 (AUROC 0.80, and what that is worth to a beam search).
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg=None):
    """run, label, by: which labels, by the number of endings or a verifier; values: soft, hard or consensus, with a second
    file as judge (configs/prm.py); model, dtype: of the policy."""
    arg = common.parse_arg(
        arg, run="", label="majority", by="checker", judge="", values="soft", model=common.MODEL, dtype="", seed=0
    )
    config = ConfigDict()
    config.model, config.dtype, config.seed, config.rows = arg.model, arg.dtype, arg.seed, 32
    config.labels = {
        "run": arg.run, "label": arg.label, "by": arg.by, "judge": arg.judge, "values": arg["values"], "held_out": 0.2,
        "max_tokens": 1024,
    }  # fmt: skip
    config.ridges = (1.0, 10.0, 100.0, 1000.0, 10000.0)
    return config


def get_sweep():
    """Soft values against hard ones, which differ where labels are Monte-Carlo."""
    return [{"config.labels.values": values} for values in ("soft", "hard")]
