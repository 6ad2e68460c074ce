"""
netkit and its peers, side by side in one run.

    - C{__main__}: the command line.
    - C{environment}: where the peers are installed, and the C programs compiled.
    - C{servers}: which servers there are, and at which settings; beside it, a file for each.
    - C{running}: starts a server, pinned to a core.
    - C{load}: the load generator, in C; C{driving} runs it.
    - C{workloads}: what is measured, and what is to be reached; C{payloads} are its octets.
    - C{measures}: how one server is measured: throughput, latency, memory, start-up.
    - C{comparing}: two servers in turn, and the ratios of that.
    - C{report}, C{plot}: what a run leaves behind.
    - C{profiling}: where a workload's time goes.
"""
