"""What it costs to vary a batch of ECGs, beside a training step of the encoders that it feeds, measured in turns.

    python benchmarks/augment.py [--device cpu] [--batch 32] [--repeats 5] [--threads N] [--quick]

Writes benchmarks/results/augment.json, on a GPU augment_cuda.json (times, ratios, machine)."""
import argparse, datetime, json, os, platform, time
from pathlib import Path

import torch
from fasttransform import Pipeline

from ecgclip.augment import AUGMENT_PRESETS, TRANSFORMS, ecg_augment
from ecgclip.core import Config
from ecgclip.data import sample_data
from ecgclip.encoders import create_encoder
from ecgclip.tensor import TensorECG

root = Path(__file__).resolve().parent.parent
ENCODERS = ('resnet1d_tiny', 'resnet1d18', 'vit1d_tiny', 'timesformer_tiny')

def processor():
    try: lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError: return platform.processor()
    return next((l.split(':')[1].strip() for l in lines if l.startswith('model name')), platform.processor())

def machine(device):
    d = dict(processor=processor(), processors=os.cpu_count(), python=platform.python_version(), torch=torch.__version__, threads=torch.get_num_threads(), load=round(os.getloadavg()[0], 1))
    return d | (dict(gpu=torch.cuda.get_device_name(device)) if device.type == 'cuda' else {})

def in_turns(jobs, device, repeats):
    "Best wall time and best processor time of each job in seconds, one after the other so that a busy machine hits all alike; the first round warms up."
    wait = torch.cuda.synchronize if device.type == 'cuda' else lambda: None
    wall, busy = dict.fromkeys(jobs, float('inf')), dict.fromkeys(jobs, float('inf'))
    for i in range(repeats + 1):
        for k, job in jobs.items():
            wait(); w, b = time.perf_counter(), time.process_time()
            job(); wait()
            if i: wall[k], busy[k] = min(wall[k], time.perf_counter() - w), min(busy[k], time.process_time() - b)
    return wall, busy

def step(name, x):
    "A training step of an encoder, forward and backward."
    args = Config.timesformer() if name == 'timesformer_tiny' else None
    enc = create_encoder(name, **(dict(image_args=args.image_args, images=args.image_preset, **args.ecg_args) if args else {})).to(x.device).train()
    def run():
        enc.zero_grad(set_to_none=True)
        enc(x).square().mean().backward()
    return run

def vary(tfms, x):
    "As the loaders do it: in place, of a batch of its own."
    pipe, mine = Pipeline(tfms, split_idx=0), x.clone()
    for t in tfms: t.inplace = True
    return lambda: pipe((TensorECG(mine.copy_(x)), {}, torch.zeros(len(x), 2)))

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    p.add_argument('--batch', type=int, default=32)
    p.add_argument('--repeats', type=int, default=5)
    p.add_argument('--threads', type=int)
    p.add_argument('--quick', action='store_true', help='one repeat, nothing written')
    p.add_argument('--note', default='', help='a word on the circumstances, kept with the figures')
    a = p.parse_args()
    if a.threads: torch.set_num_threads(a.threads)
    device, repeats = torch.device(a.device), 1 if a.quick else a.repeats
    data = sample_data('train')
    x = torch.from_numpy(data.ecgs([i % len(data) for i in range(a.batch)])).contiguous().to(device)
    jobs = {f'preset {n}': vary(ecg_augment(n), x) for n in AUGMENT_PRESETS} | {f'step {n}': step(n, x) for n in ENCODERS}
    jobs |= {t.__name__: vary([t(p=1.)], x) for t in TRANSFORMS.values()}
    wall, busy = in_turns(jobs, device, repeats)
    about = machine(device)
    print(', '.join(f'{k} {v}' for k, v in about.items()), f'; batch {a.batch}, best of {repeats}\n')
    for k in jobs: print(f'{k:24}{wall[k]*1e3:9.1f} ms a batch' + (f'{busy[k]*1e3:9.1f} ms of the processor' if device.type == 'cpu' else ''))
    time_of = busy if device.type == 'cpu' else wall
    share = {n: {e: round(time_of[f'preset {n}']/time_of[f'step {e}'], 4) for e in ENCODERS} for n in AUGMENT_PRESETS}
    print('\nShare of a step of the encoder' + (', by processor time' if device.type == 'cpu' else '') + ':')
    for n, s in share.items(): print(f'{n:10}' + '  '.join(f'{e} {v:.1%}' for e, v in s.items()))
    if a.quick: return
    d = dict(date=str(datetime.date.today()), machine=about, note=a.note, batch=a.batch, repeats=repeats, seconds=wall, processor_seconds=busy, share_of_a_step=share)
    (root/'benchmarks'/'results'/f'augment{"_cuda" if device.type == "cuda" else ""}.json').write_text(json.dumps(d, indent=1) + '\n')

if __name__ == '__main__': main()
