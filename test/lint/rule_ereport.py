"""ereport(ERROR|FATAL|PANIC) carries an errcode; messages follow PostgreSQL's style."""
import re
import sys
from pathlib import Path

findings = 0
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


def complain(path, text, position, what):
    global findings
    print(f'{path}:{text.count(chr(10), 0, position) + 1}: {what}')
    findings += 1


def calls(text, name):
    """Every call of name: its position and its text up to the closing parenthesis."""
    for match in re.finditer(rf'\b{name}\s*\(', text):
        depth, end = 0, match.end() - 1
        in_string = False
        while end < len(text):
            character = text[end]
            if in_string:
                if character == '\\':
                    end += 1
                elif character == '"':
                    in_string = False
            elif character == '"':
                in_string = True
            elif character == '(':
                depth += 1
            elif character == ')':
                depth -= 1
                if depth == 0:
                    break
            end += 1
        yield match.start(), text[match.start():end + 1]


def literal(call):
    """The leading string literal of a call, adjacent literals joined; None if there is none."""
    inside = call[call.index('(') + 1:].lstrip()
    if inside.startswith('_('):
        inside = inside[2:].lstrip()
    if not inside.startswith('"'):
        return None
    parts = []
    while (match := STRING.match(inside)):
        parts.append(match[1])
        inside = inside[match.end():].lstrip()
    return ''.join(parts)


for path in sorted(Path('src').rglob('*.[ch]')):
    text = path.read_text(errors='replace')
    for position, call in calls(text, 'ereport'):
        if not re.match(r'ereport\s*\(\s*(ERROR|FATAL|PANIC)\b', call):
            continue
        if not re.search(r'\berrcode(_\w+)?\s*\(', call):
            complain(path, text, position, 'ereport without errcode')
    for name in ('errmsg', 'errmsg_internal', 'errmsg_plural'):
        for position, call in calls(text, name):
            message = literal(call)
            if message is None:
                continue
            if re.match(r'[A-Z][a-z]+\b', message):
                complain(path, text, position, f'message starts with a capital: "{message}"')
            if message.endswith(('.', '\\n', '!')):
                complain(path, text, position, f'message ends with punctuation: "{message}"')
    for name in ('errdetail', 'errhint'):
        for position, call in calls(text, name):
            message = literal(call)
            if message is None or message in ('%s', '%s.'):
                continue
            if not re.match(r'[A-Z"%\\]|memai', message) or not message.endswith(('.', '?', '%s')):
                complain(path, text, position, f'{name} is not a full sentence: "{message}"')

sys.exit(findings > 0)
