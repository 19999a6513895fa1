"""Metrics and traces of the program, by OpenTelemetry: the only package that knows it.

``instruments`` makes measurements of answers, requests and the process; ``export`` says where they go. Rules:

* It is imported only if a setting asks for it (``wiring``), so that off costs nothing.
* Nothing is called per token. An answer is measured once, after its ending, from the times that its run has anyway.
* Neither a message's text nor a key is in a metric or a span: ids, names of models, times and counts only.
* Exporting has threads of its own: a collector that is slow, away or blocked delays no answer.
* The names of ``gen_ai.*`` are those of the OpenTelemetry GenAI conventions, client inference.
"""
