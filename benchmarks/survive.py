"""Runs that survive: what is promised, how it was tried, how often, and what was lost.

    python benchmarks/survive.py [--kills 50] [--stops 5] [--terms 5] [--out FOLDER] [--quick]

Small towers train on the embedded ECGs, and on simulated pairs, as ecgclip-pretrain trains them, in processes that are stopped in three ways: by SIGKILL at a chosen
step, by SIGKILL at any moment and in the middle of saving, and by SIGTERM to all processes of the job. A new process goes on. In the end the states are compared with those of a run
that was never stopped: files byte for byte, optimizer, generators, metrics and history item by item, measured times apart. Writes benchmarks/results/survive.json."""
import argparse, contextlib, datetime, io, json, multiprocessing, os, platform, random, shutil, signal, sys, tempfile, time, warnings
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('MPLBACKEND', 'Agg')
warnings.filterwarnings('ignore', category=FutureWarning)
import pandas as pd, torch
from fastai.callback.core import Callback

from ecgclip.cli import config_from_args, _pretrain_parser, _run
from ecgclip.data import sample_data
from ecgclip.learner import fit_run, load_pretrained, pretrain_learner
from ecgclip.loaders import ecg_dataloaders
from ecgclip.resume import finish, read_state, state_differences, state_folders

root = Path(__file__).resolve().parent.parent
fork = multiprocessing.get_context('fork')      # the libraries are loaded once
COMMON = ['--epochs', '6', '--batch-size', '8', '--ecg-encoder', 'resnet1d_tiny', '--device', 'cpu', '--seed', '3',
          '--ecg-args', '{"widths": [8, 8], "depths": [1, 1]}', '--text-args', '{"dim": 32, "layers": 1, "heads": 2}']
DATA = {'embedded ECGs, augmented': ['--limit', '40', '--augment'], 'simulated pairs among one\'s own': ['--simulate', '16', '--simulate-mix', '.5', '--limit', '40']}
STEPS = {'embedded ECGs, augmented': 5, 'simulated pairs among one\'s own': 4}
EVENTS = ('before_batch', 'after_pred', 'after_loss', 'after_backward', 'after_step', 'after_batch', 'before_validate', 'after_epoch')

class KillAt(Callback):
    "SIGKILL to this process, and its loader processes, at an event of a step."
    order = 70
    def __init__(self, epoch, step, event): self.at, self.event = (epoch, step), event
    def __call__(self, event):
        if event == self.event and self.learn.epoch == self.at[0] and (getattr(self.learn, 'iter', 0) == self.at[1] or event in ('before_validate', 'after_epoch')): os.killpg(0, signal.SIGKILL)
        super().__call__(event)

def command(data, workers, out): return [*COMMON, *DATA[data], '--workers', str(workers), '--out', str(out)]

def train(argv, cbs=()):
    "What the command does up to the end of training; the embedded ECGs, read once, are handed to each process."
    config = config_from_args(vars(_pretrain_parser().parse_args(argv)))
    learn = pretrain_learner(ecg_dataloaders(ECGS[config.detail], config=config), cbs=cbs)
    fit_run(learn, run_of(config.out), resume=True)
    finish(run_of(config.out))

ECGS = {detail: sample_data(detail=detail) for detail in ('full', 'headline')}

def start(argv, kill_at=None):
    "Train, or go on, in a process group of its own; what is printed goes to a file."
    def work():
        os.setpgrp()
        folder = Path(argv[argv.index('--out') + 1])
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder/'said.txt', 'a') as f, contextlib.redirect_stdout(f), contextlib.redirect_stderr(f):
            _run(lambda argv: train(argv, [KillAt(*kill_at)] if kill_at else []), argv)
    p = fork.Process(target=work)
    p.start()
    return p

def signal_group(p, number):
    try: os.killpg(p.pid, number)
    except ProcessLookupError: pass

def run_of(out): return Path(out)/'run-001'

def saving(run): return any((run/'states').glob('.*.new'))

def through(argv):
    p = start(argv)
    p.join()
    if p.exitcode: sys.exit(f'a run that nobody stopped ended with {p.exitcode}:\n' + (Path(argv[argv.index('--out') + 1])/'said.txt').read_text()[-2000:])

def differences(a, b):
    "What differs between two finished runs: their last two states, and the best model."
    states = list(zip(state_folders(a), state_folders(b), strict=True))
    found = [o for pair in states for o in state_differences(*pair)]
    weights = [(run/'best'/'model.safetensors').read_bytes() for run in (a, b)]
    return found + ['best/model.safetensors']*(weights[0] != weights[1])

def check(run):
    "The epoch of the latest state, which must be whole; nothing may claim more. Returns it with a list of what is wrong."
    wrong, folders = [], state_folders(run)
    if not folders: return -1, ['no state']
    try: epoch = read_state(folders[0])['epoch']; load_pretrained(folders[0])
    except Exception as e: return -1, [f'{folders[0].name}: {type(e).__name__} {e}']
    if (run/'history.csv').exists() and pd.read_csv(run/'history.csv').epoch.max() > epoch: wrong.append('history.csv claims more')
    if (run/'best').exists():
        try:
            if load_pretrained(run/'best').metrics['epoch'] > epoch: wrong.append('best/ claims more')
        except Exception as e: wrong.append(f'best/: {type(e).__name__} {e}')
    return epoch, wrong

# ---- stopped at a chosen step, and resumed

def resume_trials(data, workers, stops, work, rng):
    whole, out = work/'whole', work/'stopped'
    through(command(data, workers, whole))
    places = sorted((rng.randrange(6), rng.randrange(STEPS[data]), rng.choice(EVENTS)) for _ in range(stops))
    stopped = 0
    for place in places:
        p = start(command(data, workers, out), place)
        p.join(); stopped += p.exitcode == -signal.SIGKILL
    through(command(data, workers, out))
    return dict(data=data, workers=workers, stops=stopped, places=places, differences=differences(run_of(whole), run_of(out)))

# ---- killed at any moment

def kill_once(argv, run, rng, in_save):
    "Start or go on, kill; (killed, whether a save was cut off, whether it trained when it died)."
    began, p = time.time(), start(argv)
    alive = lambda: p.is_alive() and time.time() - began < 300
    training = lambda: (run/'progress.json').exists() and (run/'progress.json').stat().st_mtime > began
    while alive() and not (training() and state_folders(run)): time.sleep(.002)
    if in_save:
        while alive() and not saving(run): time.sleep(.0005)
        time.sleep(rng.uniform(0, .06))
    else: time.sleep(rng.uniform(0, 1.5))
    trained = training()
    signal_group(p, signal.SIGKILL)
    p.join()
    return p.exitcode == -signal.SIGKILL, saving(run), trained

def kill_trials(n, work, rng):
    data = 'embedded ECGs, augmented'
    whole = work/'whole'
    through(command(data, 0, whole))
    counts, wrong, series, before = dict(kills=0, cut_saves=0, runs_ended=0), [], 0, -1
    while True:
        out = work/f'killed-{series}'
        done = counts['kills'] >= n
        if done: through(command(data, 0, out))
        else:
            killed, cut, _ = kill_once(command(data, 0, out), run_of(out), rng, counts['kills'] % 2)
            counts['kills'] += killed; counts['cut_saves'] += cut and killed
            epoch, found = check(run_of(out))
            wrong += found + ['a state that had been there was lost']*(epoch < before)
            before = epoch
            print(f'kill {counts["kills"]:3}: the state after epoch {epoch} is whole{", a save was cut off" if cut else ""}{"; " + "; ".join(found) if found else ""}', flush=True)
            if epoch < 5 or not (run_of(out)/'progress.json').read_text().count('finished'): continue
        wrong += [f'after {counts["kills"]} kills: {o}' for o in differences(run_of(whole), run_of(out))]
        counts['runs_ended'] += 1
        if done: return counts | dict(wrong=wrong)
        series, before = series + 1, -1

# ---- SIGTERM to all processes of a job

def term_trials(n, work, rng):
    data, codes = 'embedded ECGs, augmented', []
    whole, out = work/'whole', work/'asked'
    through(command(data, 2, whole))
    while len(codes) < n:
        began, p, run = time.time(), start(command(data, 2, out)), run_of(out)
        while p.is_alive() and not ((run/'progress.json').exists() and (run/'progress.json').stat().st_mtime > began): time.sleep(.002)
        time.sleep(rng.uniform(0, .4))
        signal_group(p, signal.SIGTERM)
        p.join()
        if p.exitcode == 0: break               # it had come to its end before
        codes.append(p.exitcode)
    through(command(data, 2, out))
    return dict(terms=len(codes), exit_codes=codes, differences=differences(run_of(whole), run_of(out)))

def lost(found): return ', '.join(sorted(set(found))) or 'nothing'

def table(r):
    rows = [('a resumed run is the same run', f'{o["data"]}, {o["workers"] or "no"} loader processes: killed at chosen steps, resumed, compared bit by bit', o['stops'], lost(o['differences'])) for o in r['resume']]
    k, t = r['kills'], r['terms']
    rows += [('no moment is a bad one', f'SIGKILL at any moment, {k["cut_saves"]} of them in the middle of a save; {k["runs_ended"]} runs came to their end and were compared', k['kills'], lost(k['wrong'])),
             ('SIGTERM ends a run with 143', 'SIGTERM to all processes of the job, two loader processes among them', t['terms'], lost(t['differences'] + [f'exit status {c}' for c in t['exit_codes'] if c != 143]))]
    return pd.DataFrame(rows, columns=['promised', 'tried', 'times', 'lost'])

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--kills', type=int, default=50)
    p.add_argument('--stops', type=int, default=5, help='in each of the four resumed runs')
    p.add_argument('--terms', type=int, default=5)
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--out', help='folder to work in; nothing means a temporary one')
    p.add_argument('--quick', action='store_true', help='two of each, and no file of results')
    a = p.parse_args()
    if a.quick: a.kills = a.stops = a.terms = 2
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as d, contextlib.redirect_stdout(io.StringIO()):   # what is worked out once need not be by each process
        for i, data in enumerate(DATA): train(command(data, 0, f'{d}/{i}') + ['--epochs', '1'])
    work, rng, began = Path(tempfile.mkdtemp(dir=a.out)), random.Random(a.seed), time.time()
    r = dict(date=datetime.date.today().isoformat(), python=platform.python_version(), torch=torch.__version__, machine=platform.machine(), cpus=os.cpu_count(), seed=a.seed, resume=[])
    r['kills'] = kill_trials(a.kills, work/'kills', rng)
    r['terms'] = term_trials(a.terms, work/'terms', rng)
    print(r['terms'], flush=True)
    for data in DATA:
        for workers in (0, 2):
            r['resume'].append(resume_trials(data, workers, a.stops, work/f'{len(r["resume"])}', rng))
            print({k: v for k, v in r['resume'][-1].items() if k != 'places'}, flush=True)
    r['minutes'] = round((time.time() - began)/60, 1)
    print('\n' + table(r).to_string(index=False, max_colwidth=120))
    shutil.rmtree(work)
    if not a.quick: (root/'benchmarks'/'results'/'survive.json').write_text(json.dumps(r, indent=1) + '\n')
    sys.exit(any(row != 'nothing' for row in table(r).lost))

if __name__ == '__main__': main()
