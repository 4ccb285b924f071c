"""What a pretrained encoder is worth to someone with few labels: linear probes and fine-tuning at 1 %, 10 % and all of them, over seeds, beside the same network untrained.

    python benchmarks/labels.py                                     the model that comes with the package, on the embedded sample, which it never saw
    python benchmarks/labels.py CHECKPOINT --data my-set --task ptbxl_super --device cuda

Shares are of the training patients; the penalty of a probe and the epoch of a fine-tuned network are chosen on all validation records. Writes benchmarks/results/labels.json, unless --quick."""
import argparse, datetime, json, os, sys, time
from pathlib import Path

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root/'benchmarks'))

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('checkpoint', nargs='?', default='demo')
    p.add_argument('--data', help='a table or a prepared folder; nothing means the embedded sample')
    p.add_argument('--task', help='of list_tasks(), or findings with commas; nothing takes those that occur often enough')
    p.add_argument('--fractions', type=float, nargs='+', default=[.01, .1, 1.])
    p.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    p.add_argument('--parts', nargs='+', choices=('probe', 'fine_tune'), default=['probe', 'fine_tune'])
    p.add_argument('--epochs', type=int, default=30, help='of fine-tuning')
    p.add_argument('--resamples', type=int, default=1000)
    p.add_argument('--device', default='cpu')
    p.add_argument('--note', default='', help='a word on the circumstances, kept with the figures')
    p.add_argument('--quick', action='store_true', help='one seed, one epoch, nothing written')
    a = p.parse_args()
    if a.quick: a.seeds, a.epochs, a.resamples = a.seeds[:1], 1, 50
    from demo import machine
    from ecgclip.data import open_data
    from ecgclip.learner import load_pretrained
    from ecgclip.pages import evaluate_model, to_plain
    from ecgclip.prompts import list_tasks
    data, start = open_data(a.data), time.process_time()
    ev = evaluate_model(load_pretrained(a.checkpoint, device=a.device), data, task=a.task and (a.task if a.task in list_tasks() else a.task.split(',')), parts=tuple(a.parts), fractions=tuple(a.fractions),
                        seeds=tuple(a.seeds), n_boot=a.resamples, epochs=a.epochs, name=a.checkpoint)
    print(ev)
    if a.quick: return
    path = root/'benchmarks'/'results'/'labels.json'
    d = dict(date=str(datetime.date.today()), machine=machine(), note=a.note, checkpoint=Path(a.checkpoint).name, about=ev.about, classes=ev.raw['classes'], processor_seconds=round(time.process_time() - start), settings={k: v for k, v in vars(a).items() if k not in ('data', 'note', 'checkpoint')},
             **{s.name: dict(note=s.note, rows=to_plain(s.table)) for s in ev.sections if s.name in ('probe', 'fine_tune')})
    tmp = path.with_name(f'.{path.name}.new')
    tmp.write_text(json.dumps(d, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')
    os.replace(tmp, path)

if __name__ == '__main__': main()
