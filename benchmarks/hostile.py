"""How readers bear damaged files: each of the small files of `ecgclip.hostile.SAMPLES` is damaged at random and read, many thousand times.

    python benchmarks/hostile.py                      # 10,000 of each kind, about a quarter of an hour on one core
    python benchmarks/hostile.py --n 300 --only DICOM

Each kind is read in a process of its own, so that a crash or a hang of a library would be seen, counted, and passed by. A process may take
1 GB beyond what it has after its first file; what would need more counts as a fault. Exits with 1 if there was any fault.
"""
import argparse, json, mmap, os, platform, resource, struct, subprocess, sys, tempfile, time
from pathlib import Path

ROOM = 2**30      # bytes a process may take beyond what it has after the first file
PATIENCE = 120    # seconds without a file done, after which a process is said to hang


def memory(key):
    "Kilobytes by /proc: VmSize, VmRSS or VmHWM."
    return next(int(l.split()[1]) for l in open('/proc/self/status') if l.startswith(key + ':'))

def child(a):
    "Attack one kind, and print what became of it as JSON."
    from ecgclip.hostile import attack
    shared = mmap.mmap(os.open(a.progress, os.O_RDWR), 8)
    first = {}
    def started(i):
        if not first:
            first.update(rss=memory('VmRSS'))
            most = memory('VmSize')*1024 + ROOM
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
        shared[:8] = struct.pack('<q', i)
    r = attack(a.child, a.folder, a.n, a.seed, a.start, started)
    print(json.dumps(dict(n=r.n, read=r.read, refused=r.refused, faults=r.faults, reasons=r.reasons.most_common(12), slowest_cpu_s=round(r.slowest, 3),
                          grown_mb=round((memory('VmHWM') - first['rss'])/1024))))

def watch(process, progress):
    "Wait for a process; kill it if it stands still. Whether it had to be killed, and the file it was at."
    at, since = None, time.monotonic()
    while process.poll() is None:
        time.sleep(.2)
        now, = struct.unpack('<q', Path(progress).read_bytes())
        if now != at: at, since = now, time.monotonic()
        elif time.monotonic() - since > PATIENCE: process.kill(); process.wait(); return True, now
    return False, struct.unpack('<q', Path(progress).read_bytes())[0]

def survey(name, n, seed):
    "Attack one kind in processes of its own, one after another if they end early."
    total, start = dict(n=0, read=0, refused=0, faults=[], reasons=[], slowest_cpu_s=0., grown_mb=0), 0
    while start < n:
        with tempfile.TemporaryDirectory(dir='/dev/shm' if os.path.isdir('/dev/shm') else None) as folder:
            progress = Path(folder)/'progress'
            progress.write_bytes(struct.pack('<q', start))
            (files := Path(folder)/'files').mkdir()
            command = [sys.executable, __file__, '--child', name, '--start', str(start), '--n', str(n - start), '--seed', str(seed), '--folder', str(files), '--progress', str(progress)]
            p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            hung, at = watch(p, progress)
            out, err = p.communicate()
        if p.returncode == 0:
            r = json.loads(out.splitlines()[-1])
            for k in ('n', 'read', 'refused', 'faults'): total[k] += r[k]
            for k in ('slowest_cpu_s', 'grown_mb'): total[k] = max(total[k], r[k])
            return total | dict(reasons=r['reasons'])
        total['faults'].append([at, 'hangs' if hung else f'ends the process ({p.returncode}): {err.strip()[-300:]}'])
        total['n'] += at + 1 - start
        start = at + 1
        if len(total['faults']) > 50: return total
    return total

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--n', type=int, default=10_000, help='damaged files of each kind (default: %(default)s)')
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--only', nargs='*', help='names of kinds')
    p.add_argument('--out', default=str(Path(__file__).parent/'results'/'hostile.json'))
    for hidden in ('child', 'folder', 'progress'): p.add_argument('--' + hidden, help=argparse.SUPPRESS)
    p.add_argument('--start', type=int, default=0, help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.child: return child(a)
    from ecgclip.hostile import SAMPLES
    import numpy, wfdb, scipy, h5py, pydicom, edfio, ecgdatakit
    results = dict(n=a.n, seed=a.seed, python=platform.python_version(), hdf5=h5py.version.hdf5_version,
                   versions={m.__name__: m.__version__ for m in (numpy, scipy, wfdb, h5py, pydicom, edfio, ecgdatakit) if hasattr(m, '__version__')}, kinds={})
    for name in a.only or SAMPLES:
        r = results['kinds'][name] = survey(name, a.n, a.seed)
        print(f'{name:18} {r["n"]:6} damaged, {r["read"]:5} read, {r["refused"]:6} refused, {len(r["faults"])} faults, slowest {r["slowest_cpu_s"]:.2f} s CPU, {r["grown_mb"]} MB taken', *r['faults'][:3], flush=True)
        tmp = Path(a.out + '.new')
        tmp.write_text(json.dumps(results, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')
        os.replace(tmp, a.out)
    return int(any(r['faults'] for r in results['kinds'].values()))


if __name__ == '__main__': sys.exit(main())
