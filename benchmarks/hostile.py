"""How readers bear damaged files: each of the small files of `ecgclip.hostile.SAMPLES` is damaged at random and read, many thousand times.

    python benchmarks/hostile.py                      # 10,000 of each kind, about a quarter of an hour on one core
    python benchmarks/hostile.py --n 300 --only DICOM

The kinds take turns, five hundred files at a time, each turn in a process of its own, so that a crash or a hang of a library is seen, counted, and
passed by. A process may take 1 GB beyond what it has after its first file; what would need more counts as a fault. A run that was stopped goes
on where it was; `--again` starts anew. Writes benchmarks/results/hostile.json. Exits with 1 if there was any fault.
"""
import argparse, json, mmap, os, platform, resource, struct, sys, tempfile, time
from multiprocessing import get_context
from pathlib import Path

ROOM = 2**30      # bytes a process may take beyond what it has after its first file
PATIENCE = 300    # seconds without a file done, after which a process is said to hang
TURN = 500        # files of a kind before the next kind's turn


def memory(key):
    "Kilobytes by /proc: VmSize, VmRSS or VmHWM."
    return next(int(l.split()[1]) for l in open('/proc/self/status') if l.startswith(key + ':'))

def turn(name, start, n, seed, folder):
    "In a process of its own: attack one kind, and leave what became of it in the folder."
    from ecgclip.hostile import attack
    shared = mmap.mmap(os.open(folder/'progress', os.O_RDWR), 8)
    first = {}
    def started(i):
        if not first:
            first.update(rss=memory('VmRSS'))
            most = memory('VmSize')*1024 + ROOM
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
        shared[:8] = struct.pack('<q', i)
    r = attack(name, folder/'files', n, seed, start, started)
    (folder/'result').write_text(json.dumps(dict(n=r.n, read=r.read, refused=r.refused, faults=r.faults, reasons=dict(r.reasons.most_common(100)),
                                                 slowest_cpu_s=round(r.slowest, 3), grown_mb=max(round((memory('VmHWM') - first['rss'])/1024), 0))))

def watch(process, progress):
    "Wait for a process; kill it if it stands still. Whether it had to be killed, and the file it was at."
    at, since = None, time.monotonic()
    while process.is_alive():
        process.join(.2)
        now, = struct.unpack('<q', progress.read_bytes())
        if now != at: at, since = now, time.monotonic()
        elif time.monotonic() - since > PATIENCE: process.kill(); process.join(); return True, now
    return False, struct.unpack('<q', progress.read_bytes())[0]

def survey(name, start, n, seed):
    "One turn of a kind. A process that ends early counts one fault, at the file it was at."
    with tempfile.TemporaryDirectory(dir='/dev/shm' if os.path.isdir('/dev/shm') else None) as folder:
        folder = Path(folder)
        (folder/'progress').write_bytes(struct.pack('<q', start))
        (folder/'files').mkdir()
        p = get_context('fork').Process(target=turn, args=(name, start, n, seed, folder))
        p.start()
        hung, at = watch(p, folder/'progress')
        if (folder/'result').exists(): return json.loads((folder/'result').read_text())
    return dict(n=at + 1 - start, read=0, refused=0, faults=[[at, 'hangs' if hung else f'ends the process (exit code {p.exitcode})']], reasons={}, slowest_cpu_s=0., grown_mb=0)

def joined(a, b):
    "Figures of two turns."
    out = {k: a[k] + b[k] for k in ('n', 'read', 'refused', 'faults')} | {k: max(a[k], b[k]) for k in ('slowest_cpu_s', 'grown_mb')}
    return out | dict(reasons=dict(sorted({k: a['reasons'].get(k, 0) + b['reasons'].get(k, 0) for k in {*a['reasons'], *b['reasons']}}.items(), key=lambda t: (-t[1], t[0]))[:15]))

def save(results, out):
    tmp = Path(out + '.new')
    tmp.write_text(json.dumps(results, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')
    os.replace(tmp, out)

def machine():
    "Processor, cores and system, as the system tells them."
    name = next((l.split(':')[1].strip() for l in open('/proc/cpuinfo') if l.startswith('model name')), platform.processor())
    return f'{name}, {os.cpu_count()} cores, {platform.system()}'

def told(name, r): return f'{name:18} {r["n"]:6} damaged, {r["read"]:5} read, {r["refused"]:6} refused, {len(r["faults"])} faults, slowest {r["slowest_cpu_s"]:.2f} s CPU, {r["grown_mb"]} MB taken'

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--n', type=int, default=10_000, help='damaged files of each kind (default: %(default)s)')
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--only', nargs='*', help='names of kinds')
    p.add_argument('--again', action='store_true', help='start anew')
    p.add_argument('--out', default=str(Path(__file__).parent/'results'/'hostile.json'))
    a = p.parse_args()
    from ecgclip.hostile import SAMPLES
    import numpy, wfdb, scipy.io, scipy.signal, soundfile, h5py, pydicom, edfio, ecgdatakit.parsing, ecgclip.formats
    about = dict(seed=a.seed, python=platform.python_version(), hdf5=h5py.version.hdf5_version,
                 versions={m.__name__: m.__version__ for m in (numpy, scipy, wfdb, h5py, pydicom, edfio, ecgdatakit)})
    old = json.loads(Path(a.out).read_text(encoding='utf-8')) if os.path.exists(a.out) and not a.again else {}
    results = dict(machine=machine()) | about | dict(kinds=old['kinds'] if old and all(old[k] == v for k, v in about.items()) else {})
    none = dict(n=0, read=0, refused=0, faults=[], reasons={}, slowest_cpu_s=0., grown_mb=0)
    kinds, names = results['kinds'], a.only or list(SAMPLES)
    while left := [n for n in names if kinds.get(n, none)['n'] < a.n]:
        name = min(left, key=lambda n: kinds.get(n, none)['n'])
        r = kinds.get(name, none)
        kinds[name] = joined(r, survey(name, r['n'], min(TURN, a.n - r['n']), a.seed))
        print(told(name, kinds[name]), *kinds[name]['faults'][:3], flush=True)
        save(results, a.out)
    save(results, a.out)
    faults = sum(len(kinds[n]['faults']) for n in names)
    print(f'{sum(kinds[n]["n"] for n in names)} damaged files of {len(names)} kinds, {faults} faults')
    return int(faults > 0)


if __name__ == '__main__': sys.exit(main())
