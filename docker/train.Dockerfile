# Training on V100s and newer: torch from the index of its CUDA 12.6 wheels, the last that carry sm_70, and what the
# extra `train` needs besides; no Java, no Spark. From the root of the repository:
#   docker build --file docker/train.Dockerfile --build-arg TORCH_INDEX=URL --tag stackcurate-train .
# TORCH_INDEX is the address of PyTorch's cu126 index; without it torch 2.10 comes from the default registry, the last
# there that carries sm_70. The driver of the host is of branch R580 or older where it has V100s.
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${BASE_IMAGE} AS environment
ARG TORCH_INDEX=
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/uv \
 && /opt/uv/bin/pip install --no-cache-dir --disable-pip-version-check "uv>=0.9" \
 && /opt/uv/bin/uv venv --python /usr/bin/python3 /opt/stackcurate
ENV PATH=/opt/uv/bin:${PATH} \
    VIRTUAL_ENV=/opt/stackcurate \
    UV_NO_CACHE=1
WORKDIR /src
RUN if [ -n "${TORCH_INDEX}" ]; \
    then uv pip install --index "${TORCH_INDEX}" --index-strategy unsafe-best-match "torch==2.14.*"; \
    else uv pip install "torch==2.10.*"; fi
COPY pyproject.toml README.md LICENSE ./
COPY stackcurate stackcurate
RUN uv pip install ".[train]" \
 && uv pip check

FROM ${BASE_IMAGE}
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 tini \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 1000 --user-group --create-home train \
 && install --directory --owner train --group train /work
COPY --from=environment /opt/stackcurate /opt/stackcurate
ENV PATH=/opt/stackcurate/bin:${PATH} \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    OMP_NUM_THREADS=2
USER train
WORKDIR /work
ENTRYPOINT ["tini", "-g", "--"]
CMD ["stackcurate", "train", "doctor"]
