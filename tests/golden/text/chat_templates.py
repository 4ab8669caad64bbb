"""Chat templates and conversations of the golden test: small equivalents of published ones, each with what makes it hard.

Each template is (source, special tokens); each case is (template, conversation, add_generation_prompt, extra variables).
"""

CHATML = """\
{% for message in messages %}
{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}
{% endfor %}
{% if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{% endif %}
"""

# A date from a function or from the caller, `trim`, `set` of the messages' tail, tests with `is defined`.
LLAMA_3_1 = """\
{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = strftime_now("%%") %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\n\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\n" }}
{%- endif %}
{{- "Today Date: " + date_string + "\n\n" + system_message + "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if message.tool_calls|length != 1 %}
            {{- raise_exception("This model only supports single tool-calls at once!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}
        {{- '{"name": "' + tool_call.name + '", "parameters": ' + tool_call.arguments | tojson + "}<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}
"""

# A namespace changed inside a reversed loop, string methods, reasoning kept apart, an option of the caller.
QWEN3 = """\
{%- set ns = namespace(last_query=messages|length - 1, searching=true) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.searching and message.role == "user" and not message.content.startswith('<tool_response>') %}
        {%- set ns.searching = false %}
        {%- set ns.last_query = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role == "assistant" %}
        {%- set content = message.content %}
        {%- set reasoning = '' %}
        {%- if message.reasoning_content is defined and message.reasoning_content is not none %}
            {%- set reasoning = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set reasoning = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query %}
            {{- '<|im_start|>assistant\\n<think>\\n' + reasoning.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>assistant\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
"""

# Refuses orders of roles; whitespace around blocks is the caller's.
MISTRAL = """\
{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}\
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}\
{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}\
{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}\
{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"""

# Roles renamed, contents that are text or a list of parts.
GEMMA = """\
{{ bos_token }}
{%- for message in messages -%}
    {%- set role = "model" if message['role'] == 'assistant' else message['role'] -%}
    {{ '<start_of_turn>' + role + '\n' }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<start_of_image>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("Invalid content type") }}
    {%- endif -%}
    {{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model\n'}}
{%- endif -%}
"""

# Everything the environment adds or changes: `tojson`, loop controls, the generation tag, macros, indented blocks.
ENVIRONMENT = """\
{%- macro shown(value) %}[{{ value | tojson }}]{% endmacro %}
    {% for message in messages %}
        {% if message.role == 'skip' %}
            {% continue %}
        {% elif message.role == 'stop' %}
            {% break %}
        {% endif %}
  {{ message.role | upper }}: {% generation %}{{ message.content }}{% endgeneration %}

    {% endfor %}
{{ shown({'b': '<é & "x">', 'a': [1, 2.5, none, true]}) }}
{{ messages[0] | tojson(indent=2, sort_keys=true) }}
{{ tools }} {{ documents }} {{ missing_variable }} {{ missing.default if missing is defined else 'none' }}
{{ {'k': 'v'}.items() | list }} {{ [3, 1, 2] | sort | join(',') }} {{ 'a,b'.split(',') | last }} {{ dict(x=1).x }}
{{ messages[-1].thinking | default('no thinking') }}
"""

TEMPLATES = {
    "chatml": (CHATML, {}),
    "llama-3.1": (LLAMA_3_1, {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}),
    "qwen3": (QWEN3, {"eos_token": "<|im_end|>"}),
    "mistral": (MISTRAL, {"bos_token": "<s>", "eos_token": "</s>"}),
    "gemma": (GEMMA, {"bos_token": "<bos>", "eos_token": "<eos>"}),
    "environment": (ENVIRONMENT, {}),
    "undefined bos": (MISTRAL, {}),
}

USER = {"role": "user", "content": "What is 12 + 30?"}
SYSTEM = {"role": "system", "content": "  You are <b>terse</b> & exact.\n"}
SAID = {"role": "assistant", "content": "<think>\n12 + 30 = 42\n</think>\n\nIt is 42. é 😀"}
MORE = {"role": "user", "content": '\nAnd "times" {{ 7 * 7 }}?\n\n'}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "add", "arguments": {"a": 12, "é": "<"}}}]}
PARTS = {"role": "user", "content": [{"type": "text", "text": " Look: "}, {"type": "image"}, {"type": "text", "text": "what?"}]}

CONVERSATIONS = {
    "one": [USER],
    "system": [SYSTEM, USER],
    "turns": [USER, SAID, MORE],
    "ends with assistant": [USER, SAID],
    "wrong order": [USER, MORE],
    "tool call": [USER, CALL],
    "reasoning": [USER, {"role": "assistant", "content": "42", "reasoning_content": "\n12 + 30"}],
    "older name for reasoning": [USER, {"role": "assistant", "content": "42", "reasoning": "12 + 30"}],
    "parts": [PARTS],
    "loop controls": [USER, {"role": "skip", "content": "not this"}, SAID, {"role": "stop", "content": ""}, MORE],
}

_PLAIN = ("one", "system", "turns", "ends with assistant")
CASES = [
    *(("smollm2", name, ask, {}) for name in _PLAIN for ask in (True, False)),
    *(("qwen05", name, ask, {}) for name in (*_PLAIN, "tool call") for ask in (True, False)),
    *(("chatml", name, ask, {}) for name in _PLAIN for ask in (True, False)),
    *(("llama-3.1", name, True, {"date_string": "26 Jul 2024"}) for name in (*_PLAIN, "tool call")),
    ("llama-3.1", "one", False, {}),
    ("llama-3.1", "one", True, {"tools": []}),
    *(("qwen3", name, True, {}) for name in (*_PLAIN, "reasoning", "older name for reasoning")),
    ("qwen3", "turns", True, {"enable_thinking": False}),
    *(("mistral", name, True, {}) for name in ("one", "turns", "ends with assistant", "system", "wrong order")),
    ("mistral", "one", True, {"bos_token": "<other>"}),
    *(("gemma", name, True, {}) for name in ("one", "turns", "parts", "tool call")),
    ("environment", "loop controls", True, {}),
    ("environment", "older name for reasoning", True, {}),
    ("undefined bos", "one", True, {}),
    ("undefined bos", "ends with assistant", True, {}),
]
