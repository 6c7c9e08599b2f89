"""An independent reading of recorded provider traffic, for the tests.

read_wire.py DIRECTORY prints one JSON object a line for every recorded chat,
embedding and rerank answer that memai should read: file, line, provider, kind,
stream, and what it must come to: content, tool_calls, finish_reason, tokens,
or vectors, or scores.  It shares no code with memai.
"""
import base64
import json
import struct
import sys

files = {'openai': 'openai', 'openai_compatible': 'openai', 'anthropic': 'anthropic', 'gemini': 'gemini',
         'cohere': 'cohere', 'ollama': 'ollama', 'voyage': 'voyage'}


def sse_events(text):
    for block in text.replace('\r\n', '\n').split('\n\n'):
        data = [line[5:].removeprefix(' ') for line in block.split('\n') if line.startswith('data:')]
        if data and data != ['[DONE]']:
            yield json.loads('\n'.join(data))


def arguments(text):
    if not isinstance(text, str):
        return text
    try:
        value = json.loads(text or '{}')
    except ValueError:
        return text
    return value if isinstance(value, dict) else text


def openai_finish(reason, calls):
    return reason if reason in ('length', 'content_filter') else 'tool_calls' if calls else 'stop'


def openai_chat(answer):
    choice = answer['choices'][0]
    message = choice['message']
    content = message.get('content')
    if isinstance(content, list):
        content = ''.join(part.get('text', '') for part in content)
    calls = [{'id': call['id'], 'name': call['function']['name'], 'arguments': arguments(call['function']['arguments'])}
             for call in message.get('tool_calls') or []]
    call = message.get('function_call')
    if call and not calls:
        calls = [{'id': call['name'], 'name': call['name'], 'arguments': arguments(call['arguments'])}]
    finish = openai_finish(choice.get('finish_reason'), calls)
    if not content and message.get('refusal'):
        content, finish = message['refusal'], 'content_filter'
    usage = answer.get('usage') or {}
    return content or '', calls, finish, usage.get('prompt_tokens'), usage.get('completion_tokens')


def openai_stream(text):
    content, calls, finish, usage = '', {}, None, {}
    for event in sse_events(text):
        usage = event.get('usage') or usage
        for choice in (event.get('choices') or [])[:1]:
            delta = choice.get('delta') or {}
            content += delta.get('content') or ''
            for part in delta.get('tool_calls') or []:
                call = calls.setdefault(part['index'], {'id': '', 'name': '', 'arguments': ''})
                call['id'] += part.get('id') or ''
                call['name'] += part['function'].get('name') or ''
                call['arguments'] += part['function'].get('arguments') or ''
            finish = choice.get('finish_reason') or finish
    calls = [dict(call, arguments=arguments(call['arguments'])) for _, call in sorted(calls.items())]
    return content, calls, openai_finish(finish, calls), usage.get('prompt_tokens'), usage.get('completion_tokens')


anthropic_reasons = {'max_tokens': 'length', 'tool_use': 'tool_calls', 'refusal': 'content_filter'}


def anthropic_prompt(usage):
    return sum(usage.get(key) or 0 for key in ('input_tokens', 'cache_creation_input_tokens', 'cache_read_input_tokens'))


def anthropic_chat(answer):
    content = ''.join(block['text'] for block in answer['content'] if block['type'] == 'text')
    calls = [{'id': block['id'], 'name': block['name'], 'arguments': block['input']}
             for block in answer['content'] if block['type'] == 'tool_use']
    return (content, calls, anthropic_reasons.get(answer['stop_reason'], 'stop'),
            anthropic_prompt(answer['usage']), answer['usage']['output_tokens'])


def anthropic_stream(text):
    blocks, usage, answer = {}, {}, {}
    for event in sse_events(text):
        if event['type'] == 'message_start':
            usage.update(event['message']['usage'])
        elif event['type'] == 'content_block_start':
            blocks[event['index']] = dict(event['content_block'], json='')
        elif event['type'] == 'content_block_delta':
            block, delta = blocks[event['index']], event['delta']
            if delta['type'] == 'text_delta':
                block['text'] += delta['text']
            elif delta['type'] == 'input_json_delta':
                block['json'] += delta['partial_json']
        elif event['type'] == 'message_delta':
            answer.update(event['delta'])
            usage.update({k: v for k, v in event['usage'].items() if v is not None})
    for block in blocks.values():
        if block['json']:
            block['input'] = json.loads(block['json'])
    return anthropic_chat({'content': [blocks[i] for i in sorted(blocks)], 'stop_reason': answer.get('stop_reason'),
                           'usage': usage})


gemini_filters = ('SAFETY', 'RECITATION', 'BLOCKLIST', 'PROHIBITED_CONTENT', 'SPII', 'IMAGE_SAFETY')


def gemini_chat(answers):
    content, calls, finish, usage = '', [], None, {}
    for answer in answers:
        candidate = answer['candidates'][0]
        for part in candidate.get('content', {}).get('parts', []):
            if 'functionCall' in part:
                call = part['functionCall']
                calls.append({'id': call.get('id', call['name']), 'name': call['name'], 'arguments': call.get('args', {})})
            elif not part.get('thought'):
                content += part.get('text', '')
        finish = candidate.get('finishReason') or finish
        usage = answer.get('usageMetadata', usage)
    reason = 'length' if finish == 'MAX_TOKENS' else 'content_filter' if finish in gemini_filters \
        else 'tool_calls' if calls else 'stop'
    completion = [usage[key] for key in ('candidatesTokenCount', 'thoughtsTokenCount') if key in usage]
    return content, calls, reason, usage.get('promptTokenCount'), sum(completion) if completion else None


cohere_reasons = {'MAX_TOKENS': 'length', 'TOOL_CALL': 'tool_calls', 'ERROR_TOXIC': 'content_filter'}


def cohere_chat(answer):
    content, calls, finish, prompt, completion = openai_chat(
        {'choices': [{'message': answer['message'], 'finish_reason': ''}]})
    tokens = answer['usage'].get('tokens', {})
    return (content, calls, cohere_reasons.get(answer['finish_reason'], 'stop'),
            tokens.get('input_tokens'), tokens.get('output_tokens'))


def cohere_stream(text):
    content, calls, end = '', [], None
    for event in sse_events(text):
        message = event.get('delta', {}).get('message', {}) if isinstance(event.get('delta'), dict) else {}
        if event['type'] == 'content-delta':
            content += message['content'].get('text', '')
        elif event['type'] == 'tool-call-start':
            call = message['tool_calls']
            calls.append({'id': call['id'], 'name': call['function']['name'], 'arguments': call['function']['arguments']})
        elif event['type'] == 'tool-call-delta':
            calls[-1]['arguments'] += message['tool_calls']['function']['arguments']
        elif event['type'] == 'message-end':
            end = event['delta']
    tokens = end['usage'].get('tokens', {})
    calls = [dict(call, arguments=arguments(call['arguments'])) for call in calls]
    return content, calls, cohere_reasons.get(end['finish_reason'], 'stop'), tokens.get('input_tokens'), tokens.get('output_tokens')


def ollama_stream(text):
    content, last = '', None
    for line in text.splitlines():
        last = json.loads(line)
        content += last['message'].get('content', '')
    return (content, [], 'length' if last.get('done_reason') == 'length' else 'stop',
            last.get('prompt_eval_count'), last.get('eval_count'))


def vectors(provider, answer):
    if provider == 'cohere':
        return answer['embeddings']['float']
    found = {}
    for item in answer['data']:
        value = item['embedding']
        if isinstance(value, str):
            raw = base64.b64decode(value)
            value = list(struct.unpack(f'<{len(raw) // 4}f', raw))
        found[item['index']] = value
    return [found[i] for i in range(len(found))]


def read_chat(provider, text, stream):
    if provider == 'openai':
        return openai_stream(text) if stream else openai_chat(json.loads(text))
    if provider == 'anthropic':
        return anthropic_stream(text) if stream else anthropic_chat(json.loads(text))
    if provider == 'gemini':
        return gemini_chat(sse_events(text) if stream else [json.loads(text)])
    if provider == 'cohere':
        return cohere_stream(text) if stream else cohere_chat(json.loads(text))
    return ollama_stream(text)


def kind_of(path):
    path = path.split('?')[0].split('#')[0]
    if path.endswith(('/chat/completions', '/messages', 'generateContent', 'GenerateContent', '/v2/chat', '/api/chat')):
        return None if '/threads/' in path else 'chat'
    if path.endswith(('/embeddings', '/v2/embed')):
        return 'embed'
    return 'rerank' if path.endswith('/rerank') else None


def main():
    for name, provider in files.items():
        with open(f'{sys.argv[1]}/wire/{name}.jsonl', encoding='utf-8') as lines:
            for number, line in enumerate(lines):
                exchange = json.loads(line)
                kind, text = kind_of(exchange['path']), exchange['response']
                if kind is None:
                    continue
                stream = not text.lstrip().startswith(('{', '[')) or provider == 'ollama'
                out = {'file': name, 'line': number, 'provider': provider, 'kind': kind, 'stream': stream,
                       'status': exchange['status']}
                if exchange['status'] != 200 or '"error":' in text[:20] or (stream and provider == 'openai' and '[DONE]' not in text):
                    out['error'] = True
                elif kind == 'chat':
                    content, calls, finish, prompt, completion = read_chat(provider, text, stream)
                    out.update(content=content, tool_calls=calls or None, finish_reason=finish,
                               prompt_tokens=prompt, completion_tokens=completion)
                    # neither text nor a call: no answer, and never an empty one in its place
                    if provider == 'gemini' and not content and not calls:
                        out['error'] = True
                elif kind == 'embed':
                    out['vectors'] = vectors(provider, json.loads(text))
                else:
                    answer = json.loads(text)
                    ranking = answer['results' if provider == 'cohere' else 'data']
                    out['documents'] = len(json.loads(exchange['request'])['documents'])
                    out['scores'] = {item['index']: item['relevance_score'] for item in ranking}
                print(json.dumps(out))


main()
