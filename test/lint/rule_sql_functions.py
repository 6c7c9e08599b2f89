"""CREATE FUNCTION in a fragment says its volatility and PARALLEL itself: the defaults are never meant."""
import re
import sys
from pathlib import Path

findings = []

for path in sorted(p for p in Path('src').glob('*/*.sql') if not p.name.startswith('memai--')):
    # comments and literals blanked out, lines kept
    text = re.sub(r"--[^\n]*|'[^']*'", lambda m: re.sub(r'[^\n]', ' ', m[0]), path.read_text(errors='replace'))
    for match in re.finditer(r'\bCREATE\s+FUNCTION\s+([\w.@]+)', text, re.I):
        # a BEGIN ATOMIC body comes after the properties
        end = re.compile(r';|\bBEGIN\s+ATOMIC\b', re.I).search(text, match.end())
        properties = text[match.start():end.start() if end else None]
        for name, pattern in (('volatility', r'\b(IMMUTABLE|STABLE|VOLATILE)\b'), ('PARALLEL', r'\bPARALLEL\b')):
            if not re.search(pattern, properties, re.I):
                line = text.count('\n', 0, match.start()) + 1
                findings.append(f'{path}:{line}: {match[1]} does not say its {name}')

print('\n'.join(findings), end='\n' if findings else '')
sys.exit(bool(findings))
