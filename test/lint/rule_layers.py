"""A module includes headers of its own directory and of lower layers only."""
import os
import re
import sys
from pathlib import Path

layer = {module: number
         for number, modules in enumerate(os.environ['LAYERS'].split())
         for module in modules.split(',')}
not_included = {'index', 'worker'}      # reached through SQL, by jobs; never called
findings = []

for path in sorted(Path('src').glob('*/*.[ch]')):
    module = path.parts[1]
    if module not in layer:
        findings.append(f'{path}:1: module {module} has no layer in the Makefile')
        continue
    for number, line in enumerate(path.read_text(errors='replace').splitlines(), 1):
        include = re.match(r'\s*#\s*include\s+"((\w+)/[\w/]+\.h)"', line)
        if not include or not Path('src', include[1]).exists():
            continue                    # no include, or one of PostgreSQL's headers
        other = include[2]
        if other == module:
            continue
        if other in not_included:
            findings.append(f'{path}:{number}: nobody includes {other}/')
        elif layer[other] >= layer[module]:
            findings.append(f'{path}:{number}: {module} (layer {layer[module]}) '
                            f'includes {other} (layer {layer[other]})')

print('\n'.join(findings), end='\n' if findings else '')
sys.exit(bool(findings))
