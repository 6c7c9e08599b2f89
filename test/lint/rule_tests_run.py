"""Every test file lies where its runner finds it and has what the runner needs."""
import re
import sys
from pathlib import Path

findings = []


def pairs(tests, suffix, expected):
    """Each test has its expected file (variants x_1.out .. allowed), each expected file its test."""
    names = {p.stem for p in Path(tests).glob('*' + suffix)}
    outputs = {p.stem for p in Path(expected).glob('*.out')}
    for name in sorted(names - outputs):
        findings.append(f'{tests}/{name}{suffix}:1: no {expected}/{name}.out')
    for name in sorted(outputs - names):
        if re.sub(r'_\d$', '', name) not in names:
            findings.append(f'{expected}/{name}.out:1: no {tests}/{name}{suffix}')


def only(folder, pattern, what):
    """Every file directly or deeper in folder matches pattern."""
    for path in sorted(p for p in Path(folder).rglob('*') if p.is_file()):
        if not re.fullmatch(pattern, str(path.relative_to(folder))):
            findings.append(f'{path}:1: no runner finds this; {folder}/ holds {what}')


pairs('sql', '.sql', 'expected')
pairs('test/specs', '.spec', 'test/expected')
only('sql', r'\d\d_\w+\.sql', 'NN_module_topic.sql')
only('expected', r'\w+\.out', 'NN_module_topic.out')
only('test/specs', r'\w+\.spec', '*.spec')
only('test/t', r'\d\d\d_\w+\.pl', 'NNN_topic.pl')
only('test/unit', r'test_\w+\.c|\w+\.h|run\.sh', 'test_<name>.c and their headers')
only('test/fuzz', r'fuzz_\w+\.c|\w+\.h|run\.sh|seeds/.*', 'fuzz_<name>.c and seeds/<name>/')

for path in sorted([*Path('test/unit').glob('*.c'), *Path('test/fuzz').glob('*.c')]):
    sources = re.search(r'^/\* sources: (.*) \*/$', path.read_text(errors='replace'), re.M)
    if not sources:
        findings.append(f'{path}:1: no line /* sources: src/... */')
        continue
    for source in sources[1].split():
        if not Path(source).exists():
            findings.append(f'{path}:1: source {source} does not exist')

print('\n'.join(findings), end='\n' if findings else '')
sys.exit(bool(findings))
