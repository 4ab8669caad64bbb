"""s1's funnel (Muennighoff et al. 2025, arXiv 2501.19393, section 2): from a pool of traces to a thousand.

A filter is a module with one function

    drop(traces, **settings) -> {id of a trace that goes: Why}

of all settings by name. It sees the traces once, in the order of their ids, so that what it keeps depends on neither the order
of a file nor chance. `reasoning.evaluation.curation.funnel` runs filters one after the other, counts, and resumes; a filter that
asks for `against` gets the problems of the evaluation sets, and one that asks for `workdir` a directory for work that must
survive a kill. Your own filter is named by its dotted module.
"""
