"""Train the demo with several seeds and collect its figures on the held-out records.

    python benchmarks/demo.py [--seeds 1 2 3] [--out FOLDER] [any option of ecgclip-pretrain]

Writes benchmarks/results/demo.json (figures with intervals, wall times, machine) and the pictures of the first seed to nbs/images; with `--preset timesformer` the published
path in small, to timesformer.json."""
import argparse, datetime, json, os, platform, shutil, subprocess, sys, tempfile, time
from pathlib import Path

root = Path(__file__).resolve().parent.parent

def processor():
    "The processor's name, as the system tells it."
    try: lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError: return platform.processor()
    return next((l.split(':')[1].strip() for l in lines if l.startswith('model name')), platform.processor())

def machine():
    import torch
    gpu = dict(gpu=torch.cuda.get_device_name()) if torch.cuda.is_available() else {}
    return dict(processor=processor(), processors=os.cpu_count(), python=platform.python_version(), torch=torch.__version__, threads=torch.get_num_threads()) | gpu

def one_seed(seed, out, options):
    "Run the command as a user would; figures, wall time in seconds, and the run's folder."
    command = [sys.executable, '-c', 'from ecgclip.cli import pretrain; pretrain()', '--seed', str(seed), '--out', str(out/f'seed-{seed}'), *options]
    start = time.perf_counter()
    subprocess.run(command, check=True)
    run = out/f'seed-{seed}'/'run-001'
    report, shots = (json.loads((run/f'{n}.json').read_text()) for n in ('report', 'zero_shot'))
    return dict(seed=seed, seconds=round(time.perf_counter() - start, 1), report=report, zero_shot=shots), run

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--seeds', type=int, nargs='+', default=[1, 2, 3])
    p.add_argument('--out', type=Path)
    p.add_argument('--note', default='', help='a word on the circumstances, kept with the figures')
    args, options = p.parse_known_args()
    out = args.out or Path(tempfile.mkdtemp())
    results = [one_seed(s, out, options) for s in args.seeds]
    d = dict(date=str(datetime.date.today()), machine=machine(), note=args.note, options=options, seeds=[r for r, _ in results])
    name = 'timesformer' if 'timesformer' in options else 'demo'
    (root/'benchmarks'/'results'/f'{name}.json').write_text(json.dumps(d, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')
    (root/'nbs'/'images').mkdir(exist_ok=True)
    for picture in ('curves', 'gallery'): shutil.copy(results[0][1]/f'{picture}.png', root/'nbs'/'images'/f'{name}-{picture}.png')

if __name__ == '__main__': main()
