# syntax=docker/dockerfile:1
# Varve's image: `docker build -t varve .`. The Node version is the active long-term one.
ARG NODE_VERSION=26

FROM node:${NODE_VERSION}-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY tools/build.mjs tools/
COPY lib lib
COPY cmd cmd
RUN node tools/build.mjs --all \
 && find dist -name '*.test.js*' -delete \
 && find dist -depth -name testing -type d -exec rm -r {} + \
 && find dist -name '*.map' -delete

FROM node:${NODE_VERSION}-slim
LABEL org.opencontainers.image.title="Varve" \
      org.opencontainers.image.description="Prometheus-compatible store for metrics over years" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
 && npm cache clean --force \
 && install -d -o 10001 -g 10001 /data
COPY bin bin
COPY LICENSE ./
COPY --from=build /src/dist dist
# A number, so that Kubernetes can tell that it is not root. Only /data and /tmp are written to.
USER 10001:10001
VOLUME /data
EXPOSE 9009
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "/app/bin/varve"]
# Replaced by whatever is given behind the image's name. No environment variables here: they would win over a file.
CMD ["--data-dir=/data", "--bucket=file:/data/bucket", "--http-listen=:9009"]
