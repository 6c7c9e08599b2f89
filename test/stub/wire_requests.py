#!/usr/bin/env python3
"""The recorded chat requests of real clients, as memai would be asked for the same: wire_requests.py DATA

A line of JSON for each request whose every part memai has a word for: provider, file and line, messages
and options for memai.complete, and the parts of the recorded body that must come out.
"""
import json
import sys


class Other(Exception):
    """Something that memai has no word for, such as an image."""


def only(value, *allowed):
    if set(value) - set(allowed):
        raise Other(set(value) - set(allowed))
    return value


def text_of(content):
    if isinstance(content, str):
        return content
    if isinstance(content, list) and len(content) == 1 and content[0].get('type') == 'text':
        return only(content[0], 'type', 'text')['text']
    raise Other('content')


def numbers(body, options, **names):
    for ours, theirs in names.items():
        if body.get(theirs) is not None:
            options[ours] = body[theirs]


def openai(body):
    messages, options, expected = [], {}, {'messages': []}
    for message in body['messages']:
        only(message, 'role', 'content', 'tool_calls', 'tool_call_id', 'name')
        if message['role'] not in ('system', 'user', 'assistant', 'tool') or ('name' in message and message['role'] != 'tool'):
            raise Other('role')
        ours = {'role': message['role'], 'content': text_of(message['content'] or '')}
        theirs = dict(ours)
        if message.get('tool_calls'):
            ours['tool_calls'] = [{'id': c['id'], 'name': c['function']['name'], 'arguments': json.loads(c['function']['arguments'])}
                                  for c in message['tool_calls']]
            theirs['content'] = theirs['content'] or None
            theirs['tool_calls'] = [{'id': c['id'], 'type': 'function', 'function': {
                'name': c['name'], 'arguments': c['arguments']}} for c in ours['tool_calls']]
        if 'tool_call_id' in message:
            ours['tool_call_id'] = theirs['tool_call_id'] = message['tool_call_id']
        messages.append(ours)
        expected['messages'].append(theirs)
    if isinstance(body.get('stop'), str):
        raise Other('stop')
    numbers(body, options, temperature='temperature', max_tokens='max_tokens', stop='stop')
    expected.update({k: v for k, v in options.items()})
    if body.get('tools'):
        options['tools'] = [only(t['function'], 'name', 'description', 'parameters') for t in body['tools'] if only(t, 'type', 'function')]
        expected['tools'] = [{'type': 'function', 'function': f} for f in options['tools']]
    if body.get('response_format', {}).get('type') == 'json_schema':
        options['json_schema'] = body['response_format']['json_schema']['schema']
        expected['schema'] = options['json_schema']
    return messages, options, expected


def anthropic(body):
    messages, options, expected = [], {}, {'messages': body['messages'], 'max_tokens': body['max_tokens']}
    if body.get('system'):
        messages.append({'role': 'system', 'content': text_of(body['system'])})
        expected['system'] = text_of(body['system'])
    for message in body['messages']:
        blocks = message['content'] if isinstance(message['content'], list) else [{'type': 'text', 'text': message['content']}]
        ours = {'role': message['role'], 'content': ''}
        for block in blocks:
            if block['type'] == 'text' and not ours['content'] and 'tool_calls' not in ours:
                ours['content'] = only(block, 'type', 'text')['text']
            elif block['type'] == 'tool_use':
                only(block, 'type', 'id', 'name', 'input')
                ours.setdefault('tool_calls', []).append({'id': block['id'], 'name': block['name'], 'arguments': block['input']})
            elif block['type'] == 'tool_result' and isinstance(block['content'], str):
                only(block, 'type', 'tool_use_id', 'content')
                messages.append({'role': 'tool', 'tool_call_id': block['tool_use_id'], 'content': block['content']})
            else:
                raise Other(block['type'])
        if ours['content'] or 'tool_calls' in ours:
            messages.append(ours)
    # the same in fewer words: a list of one text is that text
    expected['messages'] = [dict(m, content=m['content'][0]['text']) if isinstance(m['content'], list) and len(m['content']) == 1
                            and m['content'][0]['type'] == 'text' else m for m in body['messages']]
    numbers(body, options, temperature='temperature', max_tokens='max_tokens', stop='stop_sequences')
    if 'temperature' in options:
        expected['temperature'] = options['temperature']
    if body.get('tools'):
        options['tools'] = [dict({k: t[k] for k in ('name', 'description') if k in t}, parameters=t['input_schema'])
                            for t in body['tools'] if only(t, 'name', 'description', 'input_schema')]
        expected['tools'] = body['tools']
    return messages, options, expected


def joined_results(turns):
    """Results of tools that clients sent as turns of their own: newer models want one turn."""
    joined = []
    for turn in turns:
        is_result = all('functionResponse' in part for part in turn['parts'])
        if is_result and joined and all('functionResponse' in part for part in joined[-1]['parts']):
            joined[-1]['parts'] += turn['parts']
        else:
            joined.append({**turn, 'parts': list(turn['parts'])})
    return joined


def gemini(body):
    messages, options, expected = [], {}, {'contents': joined_results(body['contents'])}
    if body.get('systemInstruction'):
        parts = body['systemInstruction']['parts']
        messages += [{'role': 'system', 'content': only(p, 'text')['text']} for p in parts]
        expected['system'] = parts
    for turn in body['contents']:
        ours = {'role': {'model': 'assistant', 'user': 'user'}[turn['role']], 'content': ''}
        for part in turn['parts']:
            if 'functionCall' in part:
                only(part, 'functionCall', 'thoughtSignature')
                call = only(part['functionCall'], 'name', 'args')
                call = {'id': call['name'], 'name': call['name'], 'arguments': call['args']}
                if 'thoughtSignature' in part:
                    call['signature'] = part['thoughtSignature']
                ours.setdefault('tool_calls', []).append(call)
            elif 'functionResponse' in part:
                result = only(part['functionResponse'], 'name', 'response')
                ours = {'role': 'tool', 'tool_call_id': result['name'], 'name': result['name'], 'content': json.dumps(result['response'])}
                if len(turn['parts']) != 1:
                    raise Other('several results in one turn')
            elif ours['content'] or 'tool_calls' in ours:
                raise Other('several texts')
            else:
                ours['content'] = only(part, 'text')['text']
        messages.append(ours)
    config = body.get('generationConfig') or {}
    numbers(config, options, temperature='temperature', max_tokens='maxOutputTokens', stop='stopSequences')
    expected['generationConfig'] = {k: v for k, v in config.items() if k in ('temperature', 'maxOutputTokens', 'stopSequences')}
    return messages, options, expected


for name, provider, read, path in [('openai', 'openai', openai, '/chat/completions'), ('openai_compatible', 'openai', openai, '/chat/completions'),
                                   ('anthropic', 'anthropic', anthropic, '/messages'), ('gemini', 'gemini', gemini, 'enerateContent'),
                                   # what was recorded of these has the words of OpenAI
                                   ('cohere', 'cohere', openai, '/v2/chat'), ('ollama', 'ollama', openai, '/api/chat')]:
    with open(f'{sys.argv[1]}/wire/{name}.jsonl', encoding='utf-8') as lines:
        for number, line in enumerate(lines):
            exchange = json.loads(line)
            body = exchange['request']
            try:
                body = json.loads(body) if isinstance(body, str) else body
                if path not in exchange['path'].split('?')[0] or exchange['status'] != 200 or not body:
                    continue
                messages, options, expected = read(body)
            except (Other, KeyError, TypeError, ValueError, AttributeError):
                continue
            if messages and '\0' not in line and '\\u0000' not in line:
                print(json.dumps({'provider': provider, 'file': name, 'line': number, 'messages': messages,
                                  'options': options, 'expected': expected}))
