# The example app of workers/ with durableq installed. For your own: copy your code instead, and install
# durableq with your requirements. docs/deploying.md says what each line is for.
FROM python:3.11-slim-bookworm AS build
COPY pyproject.toml README.md LICENSE /src/
COPY durableq /src/durableq
RUN python -m venv /venv
RUN /venv/bin/pip install --no-cache-dir "/src[fast]"

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin durableq
COPY --from=build /venv /venv
COPY workers /app/workers
WORKDIR /app
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DURABLEQ_APP=workers.shop:app \
    DURABLEQ_HEALTH_FILE=/tmp/durableq-health
USER 10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=10s --start-period=15s --retries=2 CMD ["durableq", "health"]
CMD ["durableq", "worker"]
