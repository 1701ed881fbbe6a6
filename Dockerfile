# The service in one image: `docker build -t countermark .`, then compose.yaml or docs/runbook.md.
# The registry, keys and files are in the volume; nothing of them is in the image.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/countermark
ENV PATH=/opt/countermark/bin:$PATH
COPY pyproject.toml /src/
# torch comes first and alone, so that the build for CPUs is the one that stays.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --index-url "$TORCH_INDEX" "$(sed -n 's/.*"\(torch==[0-9.]*\)".*/\1/p' /src/pyproject.toml | head -n 1)"
COPY . /src
RUN pip install "/src[all]"

FROM python:${PYTHON}
RUN useradd --uid 10001 --home-dir /var/lib/countermark --create-home --shell /usr/sbin/nologin countermark
COPY --from=build /opt/countermark /opt/countermark
ENV PATH=/opt/countermark/bin:$PATH PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1 \
    COUNTERMARK_HOME=/var/lib/countermark/home COUNTERMARK_LOG_FORMAT=json
USER 10001
WORKDIR /var/lib/countermark
VOLUME /var/lib/countermark
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/readyz', timeout=8)"]
CMD ["countermark", "serve", "--host", "0.0.0.0"]
