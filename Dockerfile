# One image for two services: the app (default command) and the worker (python worker.py). See compose.yaml.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1

# tini is process 1: it forwards signals and reaps child processes. Its version follows the base image.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /app

# Extra arguments for pip, for example an index with the smaller, CPU-only torch.
ARG PIP_ARGS=""
COPY requirements.txt ./
# hadolint ignore=SC2086
RUN python -m pip install --root-user-action=ignore ${PIP_ARGS} -r requirements.txt

RUN useradd --system --uid 10001 --create-home --home-dir /home/evenly evenly \
    && install -d -o evenly -g evenly /data
COPY . ./
RUN python -m compileall -q .

USER 10001
ENV EVENLY_DATA=/data \
    STREAMLIT_SERVER_ADDRESS=0.0.0.0 \
    STREAMLIT_SERVER_PORT=8501
VOLUME /data
EXPOSE 8501

HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]

ENTRYPOINT ["tini", "--"]
CMD ["python", "-m", "streamlit", "run", "app.py"]
