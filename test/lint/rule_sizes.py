"""Files up to 1000 lines, functions up to 120 (aim: 100 to 600, and 60)."""
import sys
from pathlib import Path

MAX_FILE, MAX_FUNCTION = 1000, 120
findings = []

for path in sorted(p for suffix in ('*.[ch]', '*.sql') for p in Path('src').rglob(suffix)
                   if not p.name.startswith('memai--')):
    lines = path.read_text().splitlines()
    if len(lines) > MAX_FILE:
        findings.append(f'{path}:1: {len(lines)} lines, at most {MAX_FILE}')
    if path.suffix == '.sql':
        continue
    start = None
    for number, line in enumerate(lines, 1):        # PostgreSQL layout: braces in column 1
        if line == '{':
            start = number
        elif line == '}' and start:
            if number - start - 1 > MAX_FUNCTION:
                findings.append(f'{path}:{start}: a function of {number - start - 1} lines, at most {MAX_FUNCTION}')
            start = None

print('\n'.join(findings), end='\n' if findings else '')
sys.exit(bool(findings))
