#!/usr/bin/env bash
# Ten minutes of one CUDA GPU, well spent: face-256 goes on learning, then the CUDA ops are tested and timed.
#
#     bash latentface/training/short_gpu.sh FACES PERCEPTUAL START OUT [MINUTES]
#
# FACES       folder of faces.jsonl and crops (`python -m latentface.training.portraits` makes a small one for a trip)
# PERCEPTUAL  folder of vgg19_distilled16x.npz and lpips_squeeze.npz
# START       folder that a run of training.portrait_generator wrote; OUT gets the same files
# MINUTES     of training, 7 by default, of about a million pictures
set -euo pipefail
faces=$1 perceptual=$2 start=$3 out=$4 minutes=${5:-7}
export PYTHONPATH=${PYTHONPATH:-$PWD}
device=$(python3 -c 'import torch; print("cuda" if torch.cuda.is_available() else "cpu")')
run=$(mktemp -d)
python3 -m latentface.training.portrait_generator --faces "$faces" --perceptual "$perceptual" --start "$start" \
    --out "$run" --device "$device" --batch "${BATCH:-64}" --minutes "$minutes" 2>&1 | tee "$run/log.txt"
mkdir -p "$out"
cp "$run"/face-*.safetensors "$run"/adversary.safetensors "$run"/expression-change.safetensors "$out"/
cp "$run"/curves.csv "$run"/log.txt "$run"/sheet.png "$out"/ 2>/dev/null || true
if [ "$device" = cuda ]; then
    python3 -m pytest -q tests/ops 2>&1 | tee "$out/ops-tests.txt" | tail -3
    python3 benchmarks/ops.py 2>&1 | tee "$out/ops-times.txt" | tail -40
    python3 benchmarks/synthesis.py 2>&1 | tee "$out/synthesis-times.txt" | tail -40
fi
